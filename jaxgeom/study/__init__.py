"""[host] Studies: named axes of settings times named measurements, saved, resumed and merged; see :func:`run_study`."""

from jaxgeom.study.compare import StudyComparison, compare
from jaxgeom.study.labels import from_xarray, to_xarray
from jaxgeom.study.measurements import (
    Measurement,
    accuracy_on,
    all_right,
    boundary_lengths,
    critical_points,
    decision_surfaces,
    estimated_regions,
    exact_regions,
    functional_dimension,
    grid_regions,
    line_breakpoints,
    loss_on,
    of_population,
    pure,
    states_at,
    topology,
)
from jaxgeom.study.networks import networks, parameters
from jaxgeom.study.result import Study, load, merge, save, select
from jaxgeom.study.run import run_study
from jaxgeom.study.slices import slice_study
from jaxgeom.study.status import StudyStatus, study_status
from jaxgeom.study.zoo import shard_again
from jaxgeom.study.zoo_reader import ZooExamples, ZooNetwork, zoo_batches, zoo_labels
from jaxgeom.study.zoo_status import ZooStatus, zoo_status

__all__ = [
    "Measurement",
    "Study",
    "StudyComparison",
    "StudyStatus",
    "ZooExamples",
    "ZooNetwork",
    "ZooStatus",
    "accuracy_on",
    "all_right",
    "boundary_lengths",
    "compare",
    "critical_points",
    "decision_surfaces",
    "estimated_regions",
    "exact_regions",
    "from_xarray",
    "functional_dimension",
    "grid_regions",
    "line_breakpoints",
    "load",
    "loss_on",
    "merge",
    "networks",
    "of_population",
    "parameters",
    "pure",
    "run_study",
    "save",
    "select",
    "shard_again",
    "slice_study",
    "states_at",
    "study_status",
    "to_xarray",
    "topology",
    "zoo_batches",
    "zoo_labels",
    "zoo_status",
]


def __dir__() -> list[str]:
    return __all__
