"""`python -m heartbeat [run|migrate]`."""

from chassis.service import main
from heartbeat.app import service

main(service)
