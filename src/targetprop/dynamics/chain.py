"""Linear circuits with exact inverses, of any depth, in closed form.

Ahmad et al. 2020, Appendix A, has two layers. The circuit of `L` layers is

    tau du_i/dt = -u_i + W_i u_{i-1} + nu W_{i+1}^{-1} u_{i+1},     i = 1 .. L-1,     W_1 u_0 = x
    tau du_L/dt = -u_L + W_L u_{L-1} + t_L

With `v_i = (W_i .. W_2)^{-1} u_i` it is a chain of single units, `0 = -v_i + v_{i-1} + nu v_{i+1}`
at the equilibrium. The matrix of the chain is tridiagonal, with 1 on the diagonal, -1 below and
`-nu` above it. Its leading minors are `D_n = D_{n-1} - nu D_{n-2}` with `D_0 = D_1 = 1`. From its
inverse,

    u_i = D_{L-i} / D_L y_i + nu^(L-i) D_{i-1} / D_L t_i,
    y_i = W_i .. W_2 x,     t_i = (W_L .. W_{i+1})^{-1} t_L

For two layers this is `(1 + γ) x + γ t_1` with `γ = nu / (1 - nu)`. The eigenvalues of the
dynamics are `-1 + 2 sqrt(nu) cos(k π / (L + 1))`. At the coupling where the first of them is 0,
`D_L` is 0. For a stronger coupling there is an equilibrium, but it is unstable.
"""

import numpy as np
from jaxtyping import Float

PerLayer = Float[np.ndarray, " L"]


def minors(depth: int, nu: float) -> Float[np.ndarray, " minors"]:
    """The leading minors `D_0 .. D_L` of the chain.

    **Arguments:**

    - `depth`: the number of layers, `L`.
    - `nu`: the weight of the feedback.
    """
    found = [1.0, 1.0]
    while len(found) <= depth:
        found.append(found[-1] - nu * found[-2])
    return np.array(found[: depth + 1])


def amplification(depth: int, nu: float) -> PerLayer:
    """The activity of each layer of the free circuit, relative to its forward pass.

    **Arguments:**

    - `depth`: the number of layers, `L`.
    - `nu`: the weight of the feedback.

    **Returns:** `D_{L-i} / D_L` for the layers 1 .. L.

    Source: Ahmad et al. 2020, equation 25, for two layers.
    """
    d = minors(depth, nu)
    return d[depth - 1 :: -1] / d[depth]


def target_shares(depth: int, nu: float) -> PerLayer:
    """The share of the inverted target `t_i` by which the target moves each layer.

    **Arguments:**

    - `depth`: the number of layers, `L`.
    - `nu`: the weight of the feedback.

    **Returns:** `γ_i = nu^(L-i) D_{i-1} / D_L` for the layers 1 .. L.

    Source: Ahmad et al. 2020, equation 26, for two layers.
    """
    d = minors(depth, nu)
    return nu ** np.arange(depth - 1, -1, -1) * d[:depth] / d[depth]


def largest_coupling(depth: int) -> float:
    """The `nu` below which a circuit of 2 or more layers is stable.

    **Returns:** `1 / (4 cos^2(π / (L + 1)))`. It is 1 for two layers, and 1/4 at infinite depth.
    """
    return 1 / (4 * np.cos(np.pi / (depth + 1)) ** 2)


def coupling_of_full_share(depth: int) -> float:
    """The `nu` below which `γ_{L-1} < 1` in a circuit of 2 or more layers.

    **Returns:** `1 / (4 cos^2(π / (2 L)))`, which is 1/2 for two layers. It follows from
    `D_L - nu D_{L-2} = 2 nu^(L/2) T_L(1 / (2 sqrt(nu)))` with the Chebyshev polynomial `T_L`.
    """
    return 1 / (4 * np.cos(np.pi / (2 * depth)) ** 2)
