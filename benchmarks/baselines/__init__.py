"""What the gateway is compared with: the same duty done in the usual ways."""
