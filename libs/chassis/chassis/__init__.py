"""What carries every service: lanes, transactions, views, request and reply, operations.

It knows no word of the domain; a test says so.
"""

from chassis.garbage import look_rarely

look_rarely()  # Here, since whatever a service imports comes after its chassis.
