"""What carries every service: lanes, transactions, views, request and reply, operations.

It knows no word of the domain; a test says so.
"""
