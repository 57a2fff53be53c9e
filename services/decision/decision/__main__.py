"""`python -m decision`."""

from chassis.service import main
from decision.app import service

main(service)
