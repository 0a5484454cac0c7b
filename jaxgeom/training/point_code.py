"""Losses, accuracies and activations (:mod:`jaxgeom.training.point_graph`) as programs for the vector machine of the
compiled engine."""

from jaxgeom.engine.library import Machine
from jaxgeom.training import vector_code
from jaxgeom.training.point_graph import PRE_ACTIVATION, PointGraph
from jaxgeom.training.scalar_graph import Node
from jaxgeom.training.vector_code import Code, Scalars


def activation_code(machine: Machine, scalars: Scalars, h: Node, slope: Node) -> tuple[Code, int]:
    """The program of an activation, and how many temporaries it needs: array 0 holds pre-activations and gets the
    activations, array 1 gets their derivatives.

    Raises:
        Unsupported: for operations that the machine lacks.
    """
    return vector_code.strip_code(machine, scalars, [PRE_ACTIVATION, None], [(h, 0), (slope, 1)])


def point_code(machine: Machine, scalars: Scalars, point: PointGraph) -> tuple[Code, int]:
    """The program of a loss or an accuracy, and how many temporaries it needs. The arrays are its values, the targets,
    and the outputs, in whose place the derivatives by them come.

    Raises:
        Unsupported: for operations that the machine lacks.
    """
    inputs = [None, *(node.value for node in (*point.targets, *point.outputs))]
    gradients = [(node, 1 + len(point.targets) + j) for j, node in enumerate(point.gradient)]
    return vector_code.strip_code(machine, scalars, inputs, [(point.value, 0), *gradients])
