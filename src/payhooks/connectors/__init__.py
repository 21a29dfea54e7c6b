"""Whom we hear, and how: one provider's inbound webhooks per file. Pure."""
