"""The graphics processors of the kernel's machine."""

from nexus.schemas.model import Model


class Gpu(Model):
    """One graphics processor; null is what the system does not tell. Memory is in bytes, `utilization` in percent."""

    id: str
    name: str
    vendor: str | None = None
    driver: str | None = None
    memory_bytes: int | None = None
    memory_used_bytes: int | None = None
    utilization: float | None = None
    temperature_celsius: float | None = None
