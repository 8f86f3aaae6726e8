"""Views that are computed when they are asked: by a function that their owner has registered with Feast."""

from __future__ import annotations

import builtins
import dis
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import CodeType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from content_signals.errors import BrokenData, UsageError
from content_signals.features.decode import ARROW, exactly
from content_signals.features.projections import called

_WIDEST: dict[pa.DataType, pa.DataType] = {pa.int32(): pa.int64(), pa.float32(): pa.float64()}

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
        """The columns as Feast's SDK calls them, view__feature and plain feature, in the types that it gives them.

        A plain name that two inputs have would be one or the other: there is none.
        """
        plain = Counter(name.split(":")[1] for name in self.inputs)
        columns: dict[str, Any] = {}
        for name, values in zip(table.column_names, table.columns, strict=True):
            wide = values.cast(_widest(values.type))
            columns[_column(name)] = wide
            feature = name.split(":")[-1]
            if name in self.inputs and plain[feature] == 1:
                columns[feature] = wide
        return pa.table(columns)

    def _made(self, seen: pa.Table) -> Mapping[str, Any]:
        """What the function gives, by feature. Not by Feast's `transform_…`, which take inputs for what it gave."""
        view: Any = self._view
        transformation = view.feature_transformation
        if view.mode != "python":
            table = transformation.transform_arrow(seen, view.features)
            return dict(zip(table.column_names, table.columns, strict=True))
        if not view.singleton:
            made: Mapping[str, Any] = transformation.udf(seen.to_pydict())
            return made
        rows = [transformation.udf(row) for row in seen.to_pylist()]
        return {feature: [row[feature] for row in rows] for feature in self.features}


def _widest(kind: pa.DataType) -> pa.DataType:
    """What the SDK, which makes columns of Python's values, would have in place of a type."""
    if pa.types.is_list(kind):
        return pa.list_(_widest(kind.value_type))
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", "UTC")
    return _WIDEST.get(kind, kind)


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


def check_definition(view: OnDemandFeatureView) -> None:
    """Refuse a view that its readers could not compute, as long as its owner can mend it.

    Feast keeps the text of a function: what its file imports, and other functions there, are not with it. And whenever
    definitions are registered it calls each function with values of its own.

    Raises:
        UsageError: naming the view.
    """
    state = "nothing was registered"
    try:
        loaded: Any = type(view).from_proto(view.to_proto()).feature_transformation
        missing = sorted(_globals_of(loaded.udf.__code__) - set(loaded.udf.__globals__) - set(dir(builtins)))
    except AttributeError:  # no function: a plan of Substrait's, or aggregations
        missing = []
    if missing:
        raise UsageError(
            f"view {view.name}, computed on demand, uses {', '.join(missing)}, which stands outside of its function",
            state=state,
            next_step="import or define it within the function: Feast keeps the text of that alone",
        )
    try:
        view.infer_features()
    except Exception as error:  # whatever a function raises that others wrote
        raise UsageError(
            f"view {view.name}, computed on demand, fails on values that Feast tries it with:"
            f" {type(error).__name__}: {error}",
            state=state,
            next_step="let its function bear any text, number and list of its inputs' types; keys it does not get then",
        ) from error


def _globals_of(code: CodeType) -> set[str]:
    """Names that a function, or one within it, looks for outside."""
    own = {str(step.argval) for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
    return own.union(*(_globals_of(part) for part in code.co_consts if isinstance(part, CodeType)))


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
