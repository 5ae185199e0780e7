from hsae.contexts.context import SHARES, Context, Role, role_of

__all__ = ["SHARES", "Context", "Role", "role_of"]
