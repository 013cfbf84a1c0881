"""A mixture of Gaussians as data: every x_t is one again, so its velocity field is known in closed form.

With x_t = (1 - t) x + t eps and x ~ sum_k p_k N(m_k, S_k), component k of x_t is N((1 - t) m_k, C_k) with
C_k = (1 - t)^2 S_k + t^2 I, and by conditioning a Gaussian, with r = x_t - (1 - t) m_k,

    E[x | x_t, k] = m_k + (1 - t) S_k C_k^-1 r        E[eps | x_t, k] = t C_k^-1 r

The velocity is the mean of E[eps - x | x_t, k] under the probabilities of the components given x_t.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.integrate import solve_ivp
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal


@dataclass(frozen=True)
class GaussianMixture:
    """Float64 probabilities (K,), means (K, D) and covariances (K, D, D); a point is a token of D channels."""

    probabilities: Tensor
    means: Tensor
    covariances: Tensor

    @property
    def mean(self) -> Tensor:
        return self.probabilities @ self.means

    @property
    def covariance(self) -> Tensor:
        off = self.means - self.mean
        outer = off[:, :, None] * off[:, None, :]
        return torch.einsum("k,kij->ij", self.probabilities, self.covariances + outer)

    def at(self, t: float) -> MixtureSameFamily:
        """The distribution of x_t."""
        eye = torch.eye(self.means.shape[1], dtype=torch.float64)
        covariances = (1 - t) ** 2 * self.covariances + t**2 * eye
        components = MultivariateNormal((1 - t) * self.means, covariances, validate_args=False)
        return MixtureSameFamily(Categorical(self.probabilities), components, validate_args=False)

    def velocity(self, tokens: Tensor, times: Tensor) -> Tensor:
        """E[eps - x | x_t = tokens] for tokens (B, N, D), all at the one time of `times` (B,)."""
        t = times[0].item()
        assert (times == t).all()
        law = self.at(t)
        x = tokens.double()
        offset = x[..., None, :] - (1 - t) * self.means
        whitened = torch.einsum("kij,bnkj->bnki", law.component_distribution.precision_matrix, offset)
        data = self.means + (1 - t) * torch.einsum("kij,bnkj->bnki", self.covariances, whitened)
        noise = t * whitened
        log_joint = law.component_distribution.log_prob(x[..., None, :]) + self.probabilities.log()
        weights = log_joint.softmax(dim=-1)
        return torch.einsum("bnk,bnki->bni", weights, noise - data)

    def flowed(self, noise: Tensor) -> Tensor:
        """Where the flow takes `noise` (B, N, D), by scipy's 8th order Runge-Kutta at a relative tolerance of 1e-12."""

        def slope(t, flat):
            x = torch.from_numpy(flat).reshape(noise.shape)
            return self.velocity(x, torch.full((len(x),), t, dtype=torch.float64)).flatten().numpy()

        start = noise.double().flatten().numpy()
        solved = solve_ivp(slope, (1.0, 0.0), start, method="DOP853", rtol=1e-12, atol=1e-13)
        assert solved.success, solved.message
        return torch.from_numpy(solved.y[:, -1]).reshape(noise.shape)


def plane_mixture() -> GaussianMixture:
    """Three components in the plane, of unequal weight, turned and stretched; none is centred."""
    means = torch.tensor([[1.2, 0.4], [-0.8, 1.0], [0.1, -1.3]], dtype=torch.float64)
    roots = torch.tensor([[[0.6, 0.0], [0.3, 0.5]], [[0.5, 0.0], [-0.2, 0.7]], [[0.8, 0.0], [0.1, 0.4]]]).double()
    return GaussianMixture(torch.tensor([0.5, 0.3, 0.2]).double(), means, roots @ roots.mT)
