"""Security values: credentials, proved identities, cipher suites and policy.

The rule of this layer: it computes and never waits. No clock, socket, asyncio or Home Assistant; `now` is passed in.
It imports the standard library and `cryptography` only. Secrets never appear in a repr, an error or a refusal.
"""
