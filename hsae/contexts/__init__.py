from hsae.contexts.context import SHARES, Context, Role, Wanted, everything, role_of

__all__ = ["SHARES", "Context", "Role", "Wanted", "everything", "role_of"]
