"""Views that are computed when they are asked: by a function that their owner has registered with Feast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from content_signals.errors import BrokenData
from content_signals.features.decode import ARROW, exactly
from content_signals.features.projections import called

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore
    from feast.feature_view_projection import FeatureViewProjection
    from feast.on_demand_feature_view import OnDemandFeatureView


@dataclass(frozen=True)
class OnDemandPlan:
    """What a service takes from such a view.

    Attributes:
        name: what the service calls it: its own name, or the one the service gives it.
        view: as it is registered.
        kinds: number of the feast.types.ValueType of each feature.
        inputs: full names, view:feature, of what it is computed from.
        request: column -> number of the feast.types.ValueType, of what comes with each question.
        spec: its definition as it is registered, the function included.
    """

    name: str
    view: str
    features: tuple[str, ...]
    kinds: tuple[int, ...]
    inputs: tuple[str, ...]
    request: tuple[tuple[str, int], ...]
    spec: bytes = field(repr=False)

    @classmethod
    def of(cls, projection: FeatureViewProjection, view: OnDemandFeatureView, inputs: Sequence[str]) -> OnDemandPlan:
        """What a projection of a service takes."""
        return cls(
            name=called(projection),
            view=view.name,
            features=tuple(feature.name for feature in projection.features),
            kinds=tuple(feature.dtype.to_value_type().value for feature in projection.features),
            inputs=tuple(inputs),
            request=tuple((name, kind.value) for name, kind in view.get_request_data_schema().items()),
            spec=view.to_proto().spec.SerializeToString(deterministic=True),
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The features' full names, view:feature."""
        return tuple(f"{self.name}:{feature}" for feature in self.features)

    @cached_property
    def views(self) -> tuple[str, ...]:
        """What the service calls the views that it is computed from."""
        return tuple(dict.fromkeys(name.split(":")[0] for name in self.inputs))

    def computed(self, given: Mapping[str, pa.Array[Any]], keys: Sequence[str]) -> dict[str, pa.Array[Any]]:
        """Full name -> values, as many as rows were given.

        Args:
            given: columns of keys and of what came with the question, and by their full names the inputs.
            keys: which of them are keys.

        Raises:
            BrokenData: the function fails, or gives what its view has not promised.
        """
        names = [*keys, *(name for name, _ in self.request), *self.inputs]
        seen = self._as_seen(pa.table({name: given[name] for name in names}))
        if not seen.num_rows:
            return {n: pa.array([], ARROW[kind]) for n, kind in zip(self.names, self.kinds, strict=True)}
        try:
            made = self._made(seen)
            found = {}
            for name, feature, kind in zip(self.names, self.features, self.kinds, strict=True):
                found[name] = values = exactly(made[feature], kind)
                if len(values) != seen.num_rows:
                    raise ValueError(f"{len(values)} values of {feature} for {seen.num_rows} rows")
        except Exception as error:  # whatever a function raises that others wrote
            raise BrokenData(
                f"view {self.name}, computed on demand, fails: {type(error).__name__}: {error}",
                state="nothing was answered; keys without a row are nulls to its function",
                next_step="mend its function and register it anew, or leave the view out of the service",
            ) from error
        return found

    @cached_property
    def _view(self) -> OnDemandFeatureView:
        from feast.on_demand_feature_view import OnDemandFeatureView
        from feast.protos.feast.core import OnDemandFeatureView_pb2 as messages

        spec = messages.OnDemandFeatureViewSpec.FromString(self.spec)
        view: OnDemandFeatureView = OnDemandFeatureView.from_proto(messages.OnDemandFeatureView(spec=spec))
        return view

    def _as_seen(self, table: pa.Table) -> pa.Table:
        """The columns as Feast's SDK calls them: view__feature; it adds names without the view where it knows the view.

        To it a view that the function reads under another name has only that other one.
        """
        known = {projection.name for projection in self._view.source_feature_view_projections.values()}
        full = {name: _column(name) for name in self.inputs}
        seen = table.rename_columns([full.get(name, name) for name in table.column_names])
        for name in self.inputs:
            view, feature = name.split(":")
            if view not in known and feature not in seen.column_names:
                seen = seen.append_column(feature, table[name])
        return seen

    def _made(self, seen: pa.Table) -> Any:
        """What the function gives, by feature: a table, or a mapping of lists."""
        view = self._view
        if view.mode != "python":
            return view.transform_arrow(seen)
        if not view.singleton:
            return view.transform_dict(seen.to_pydict())
        rows = [view.transform_dict({name: [value] for name, value in row.items()}) for row in seen.to_pylist()]
        return {feature: [row[feature] for row in rows] for feature in self.features}


def computed(
    plans: Sequence[OnDemandPlan], hidden: frozenset[str], keys: Sequence[str], reader: pa.RecordBatchReader
) -> pa.RecordBatchReader:
    """Rows with what is computed from them, and without what was read for that alone. Features are view__feature.

    Args:
        hidden: full names, view:feature, of the latter.
        keys: columns that are keys.
    """
    dropped = {_column(name) for name in hidden}
    kept = [field for field in reader.schema if field.name not in dropped]
    kinds = [pair for plan in plans for pair in zip(plan.names, plan.kinds, strict=True)]
    schema = pa.schema([*kept, *(pa.field(_column(name), ARROW[kind]) for name, kind in kinds)])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            columns = [batch.column(field.name) for field in kept]
            for plan in plans:
                given = {name: batch.column(_column(name)) for name in plan.inputs}
                given |= {name: batch.column(name) for name in keys}
                given |= {name: exactly(batch.column(name), kind) for name, kind in plan.request}
                columns += plan.computed(given, keys).values()
            yield pa.record_batch(columns, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _column(name: str) -> str:
    """What SQL and Feast's SDK call a feature, of its full name."""
    return name.replace(":", "__")


def registered_on_demand(store: FeatureStore) -> dict[str, OnDemandFeatureView]:
    """By name, without their functions: what those import may not be installed here."""
    found = store.registry.list_on_demand_feature_views(store.project, skip_udf=True)
    return {view.name: view for view in found}


def views_read(service: FeatureService, views: Mapping[str, Any]) -> set[str]:
    """Names of the views that a service reads, and of those that its views on demand are computed from.

    Args:
        views: registered ones by name, at least those on demand.
    """
    found = set()
    for projection in service.feature_view_projections:
        found.add(projection.name)
        sources = getattr(views.get(projection.name), "source_feature_view_projections", {})
        found |= {source.name for source in sources.values()}
    return found
