"""Spotkeeper's agents: the life of one, the world it lives in, and a simulated fleet of them.

It speaks with the control plane over HTTP alone and knows nothing of the services behind.
"""
