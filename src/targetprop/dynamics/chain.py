"""Linear circuits with exact inverses, of any depth: Ahmad et al. 2020, Appendix A, for two layers.

    tau du_i/dt = -u_i + W_i u_{i-1} + nu W_{i+1}^{-1} u_{i+1},     i = 1 .. L-1,     W_1 u_0 = x
    tau du_L/dt = -u_L + W_L u_{L-1} + t_L

With `v_i = (W_i .. W_2)^{-1} u_i` this is a chain of single units, `0 = -v_i + v_{i-1} + nu v_{i+1}` at rest, whose matrix
is tridiagonal with 1 on the diagonal, -1 below and `-nu` above it. Its leading minors are `D_n = D_{n-1} - nu D_{n-2}` with
`D_0 = D_1 = 1`, and its inverse gives

    u_i = D_{L-i} / D_L y_i + nu^(L-i) D_{i-1} / D_L t_i,     y_i = W_i .. W_2 x,     t_i = (W_L .. W_{i+1})^{-1} t_L

for two layers `(1 + γ) x + γ t_1` with `γ = nu / (1 - nu)`. The eigenvalues of the motion are `-1 + 2 sqrt(nu) cos(k π /
(L + 1))`. Where the first of them is 0, `D_L = 0`: the circuit has a rest beyond, but does not come to it.
"""

import numpy as np
from jaxtyping import Float

PerLayer = Float[np.ndarray, " L"]


def minors(depth: int, nu: float) -> Float[np.ndarray, " minors"]:
    """`D_0 .. D_L`."""
    found = [1.0, 1.0]
    while len(found) <= depth:
        found.append(found[-1] - nu * found[-2])
    return np.array(found[: depth + 1])


def amplification(depth: int, nu: float) -> PerLayer:
    """How many times the activity of its forward pass each layer of the free circuit has at rest: `D_{L-i} / D_L` (Ahmad et
    al. 2020, equation 25, for two layers)."""
    d = minors(depth, nu)
    return d[depth - 1 :: -1] / d[depth]


def target_shares(depth: int, nu: float) -> PerLayer:
    """The share `γ_i` of the inverted target `t_i` by which the target moves each layer: `nu^(L-i) D_{i-1} / D_L` (Ahmad et
    al. 2020, equation 26, for two layers)."""
    d = minors(depth, nu)
    return nu ** np.arange(depth - 1, -1, -1) * d[:depth] / d[depth]


def largest_coupling(depth: int) -> float:
    """The `nu` below which a circuit of 2 or more layers comes to rest: `1 / (4 cos^2(π / (L + 1)))`, 1 for two layers, 1/4
    in the limit."""
    return 1 / (4 * np.cos(np.pi / (depth + 1)) ** 2)


def coupling_of_full_share(depth: int) -> float:
    """The `nu` below which `γ_{L-1} < 1` in a circuit of 2 or more layers: `1 / (4 cos^2(π / (2 L)))`, 1/2 for two layers,
    as `D_L - nu D_{L-2}` is `2 nu^(L/2)` times the Chebyshev polynomial `T_L` at `1 / (2 sqrt(nu))`."""
    return 1 / (4 * np.cos(np.pi / (2 * depth)) ** 2)
