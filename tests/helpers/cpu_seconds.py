"""How long a command works. Unlike the time that it takes, this is the same where the machine has other work."""

import resource


def cpu_seconds_of_children() -> float:
    """Seconds of CPU that all ended processes have used that this one began and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
