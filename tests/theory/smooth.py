"""A nonlinearity for tests of orders: smooth, not linear, and onto the real line."""

import jax.numpy as jnp

from targetprop.networks.activations import Activation


class Arsinh(Activation):
    """`s(a) = arsinh(a)`."""

    def __call__(self, a):
        return jnp.arcsinh(a)

    def slope(self, a):
        return 1 / jnp.sqrt(1 + a**2)

    def difference(self, a, d):
        return jnp.arcsinh(a + d) - jnp.arcsinh(a)

    def inverse(self, h):
        return jnp.sinh(h)

    def inverse_difference(self, h, d):
        return 2 * jnp.cosh(h + d / 2) * jnp.sinh(d / 2)
