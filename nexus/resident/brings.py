"""What this process brings to the kernel that it has opened, from above it."""

from typing import TYPE_CHECKING

from nexus.plugins.plugins import Plugins

if TYPE_CHECKING:
    from nexus.kernel.kernel import Kernel


def bring_sessions(plugins: Plugins, kernel: "Kernel") -> None:
    """Bring the session types of plugins. Nothing is imported for it before there is a kernel."""
    from nexus.resident.plugin_sessions import PluginSessions

    PluginSessions(plugins).bring(kernel)
