"""`python -m commands`."""

from chassis.service import main
from commands.app import service

main(service)
