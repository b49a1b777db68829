"""Where models are kept, who plays which role, and how one is taken up: verified first, whole or not at all."""

from libs.common.models.cache import ModelCache
from libs.common.models.roles import AgentRoles, Held, RoleKey, RoleProblem, Roles
from libs.common.models.store import ArtifactStore, ArtifactStoreError, BusStore, FolderStore, open_store

__all__ = [
    "AgentRoles",
    "ArtifactStore",
    "ArtifactStoreError",
    "BusStore",
    "FolderStore",
    "Held",
    "ModelCache",
    "RoleKey",
    "RoleProblem",
    "Roles",
    "open_store",
]
