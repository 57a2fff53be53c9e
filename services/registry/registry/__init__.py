"""The owner of clients, tokens, agents, configs, instances and the audit trail."""
