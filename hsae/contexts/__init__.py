from hsae.contexts.context import SHARES, Attempt, Context, Role, Sampler, Wanted, everything, role_of

__all__ = ["SHARES", "Attempt", "Context", "Role", "Sampler", "Wanted", "everything", "role_of"]
