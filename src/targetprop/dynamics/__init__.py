"""Continuous time: flows and circuits, on one set of solvers."""

from ._base import Displacements, Dynamics, norms
from .circuit import Circuit, Gains, Motion, scaled_up
from .equilibria import Equilibrium, EquilibriumSolver, Integration, Newton, Sweeps
from .gradient_flow import AtActivity, AtZero, Flow, HuberCost, LocalCost, QuadraticCost, Start
from .integrators import Euler, Integrator, PerLayerIntegrator, SteadyState
from .multiplexing import Multiplex, TwoChannels, free_bursts
from .plasticity import AtEquilibrium, ContinuousPlasticity, Plasticity
from .targets import HardTarget, InjectedCurrent, MovingTarget, OutputTarget, SoftTarget
from .trajectories import trajectory

__all__ = [
    "AtActivity",
    "AtEquilibrium",
    "AtZero",
    "Circuit",
    "ContinuousPlasticity",
    "Displacements",
    "Dynamics",
    "Equilibrium",
    "EquilibriumSolver",
    "Euler",
    "Flow",
    "Gains",
    "HardTarget",
    "HuberCost",
    "InjectedCurrent",
    "Integration",
    "Integrator",
    "LocalCost",
    "Motion",
    "MovingTarget",
    "Multiplex",
    "Newton",
    "OutputTarget",
    "PerLayerIntegrator",
    "Plasticity",
    "QuadraticCost",
    "SoftTarget",
    "Start",
    "SteadyState",
    "Sweeps",
    "TwoChannels",
    "free_bursts",
    "norms",
    "scaled_up",
    "trajectory",
]
