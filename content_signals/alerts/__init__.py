"""Alerts: one message per problem to whoever owns the table, and one line when it is over."""
