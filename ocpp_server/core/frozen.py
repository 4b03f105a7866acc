"""`dataclass` and `replace` for records: frozen for the type checker, plain at run time.

A frozen dataclass sets each field by `object.__setattr__`, and `dataclasses.replace` runs its whole `__init__`: on the
way of each reading some hundred fields, a third of the server's time (docs/adr/0004). mypy sees the real things and
refuses an assignment to a field all the same.
"""

from typing import TYPE_CHECKING, Any

__all__ = ["dataclass", "replace"]

if TYPE_CHECKING:
    from dataclasses import dataclass, replace
else:
    import dataclasses

    _COPIERS = {}

    def dataclass(*, frozen: bool = False, **options: Any) -> Any:
        """Equality and hash are those of a frozen one."""
        return dataclasses.dataclass(unsafe_hash=frozen, **options)

    def replace(record: Any, /, **changes: Any) -> Any:
        """A copy with other values in these fields. Raises AttributeError for what is no field of a slotted record."""
        kind = type(record)
        copier = _COPIERS.get(kind)
        if copier is None:
            copier = _COPIERS[kind] = _make_copier(kind)
        copy = copier(record)
        for name, value in changes.items():
            setattr(copy, name, value)
        return copy

    def _make_copier(kind: type) -> Any:
        """A function that copies field by field, written out for this kind as dataclasses do with `__init__`."""
        lines = ["def copier(record):", "    copy = new(kind)"]
        lines += [f"    copy.{field.name} = record.{field.name}" for field in dataclasses.fields(kind)]
        lines += ["    return copy"]
        names = {"new": object.__new__, "kind": kind}
        exec("\n".join(lines), names)  # noqa: S102 - names of our own fields only
        return names["copier"]
