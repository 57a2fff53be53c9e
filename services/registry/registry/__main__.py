"""`python -m registry`."""

from chassis.service import main
from registry.app import service

main(service)
