"""Every scheduler by name, beside diffusers' pipeline with the class that its documentation names.

names x steps x strength x prediction type x timestep spacing of the checkpoint, in reference mode, where nothing
differs; what diffusers cannot run is an error here, too. Outside of reference mode three things differ on purpose:
a strength is not truncated to fewer steps, PLMS starts anew below strength 1 (`engine/test_sampler.py`), and DDIM
and its like do not clip latents as if they were pixels (`models/test_schedulers.py`).
"""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import diffusers
import numpy as np
import pytest
from tests.as_diffusers import Made, denoise, distance, dummy_mask, dummy_picture, dummy_pipe, made, theirs

from retouch.engine.engine import Engine
from retouch.engine.settings import EngineSettings
from retouch.errors import InvalidField, NonFinite
from retouch.models.in_memory import from_pipe
from retouch.models.scheduler_names import SAMPLERS
from retouch.request import InpaintRequest

pytestmark = pytest.mark.filterwarnings("ignore")

MULTI, SINGLE = "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler"
SDE = {"algorithm_type": "sde-dpmsolver++"}
KARRAS, EXPONENTIAL, BETA = ({f"use_{name}_sigmas": True} for name in ("karras", "exponential", "beta"))
LINSPACE, TRAILING = {"timestep_spacing": "linspace"}, {"timestep_spacing": "trailing"}
# The table of diffusers' documentation (api/schedulers/overview); below it what it does not list.
DOCUMENTED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "DPM++ 2M": (MULTI, {}),
    "DPM++ 2M Karras": (MULTI, KARRAS),
    "DPM++ 2M SDE": (MULTI, SDE),
    "DPM++ 2M SDE Karras": (MULTI, SDE | KARRAS),
    "DPM++ 2S a": (SINGLE, {}),
    "DPM++ 2S a Karras": (SINGLE, KARRAS),
    "DPM++ SDE": (SINGLE, {}),
    "DPM++ SDE Karras": (SINGLE, KARRAS),
    "DPM2": ("KDPM2DiscreteScheduler", {}),
    "DPM2 Karras": ("KDPM2DiscreteScheduler", KARRAS),
    "DPM2 a": ("KDPM2AncestralDiscreteScheduler", {}),
    "DPM2 a Karras": ("KDPM2AncestralDiscreteScheduler", KARRAS),
    "Euler": ("EulerDiscreteScheduler", {}),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "Heun": ("HeunDiscreteScheduler", {}),
    "LMS": ("LMSDiscreteScheduler", {}),
    "LMS Karras": ("LMSDiscreteScheduler", KARRAS),
    "DEIS": ("DEISMultistepScheduler", {}),
    "UniPC": ("UniPCMultistepScheduler", {}),
    "Euler SGM Uniform": ("EulerDiscreteScheduler", TRAILING),
    "DPM++ 2M Simple": (MULTI, TRAILING),
    "UniPC Exponential": ("UniPCMultistepScheduler", LINSPACE | EXPONENTIAL),
    "DPM++ SDE Exponential": (SINGLE, EXPONENTIAL),
    "Euler Beta": ("EulerDiscreteScheduler", LINSPACE | BETA),
    "DPM++ 2M Beta": (MULTI, LINSPACE | BETA),
    # not listed
    "DDIM": ("DDIMScheduler", {}),
    "DDPM": ("DDPMScheduler", {}),
    "DPM++ 2M SDE Heun": (MULTI, SDE | {"solver_type": "heun"}),
    "DPM++ 2S": (SINGLE, {}),
    "DPM++ 2S SDE": (SINGLE, SDE),
    "DPM++ 3M": (MULTI, {"solver_order": 3}),
    "DPM++ 3M SDE": (MULTI, SDE | {"solver_order": 3}),
    "DPM++ 3M SDE Exponential": (MULTI, SDE | LINSPACE | EXPONENTIAL | {"solver_order": 3}),
    "Euler Uniform": ("EulerDiscreteScheduler", LINSPACE),
    "LCM": ("LCMScheduler", {}),
    "PLMS": ("PNDMScheduler", {}),
    "PNDM": ("PNDMScheduler", {}),
    "SA-Solver": ("SASolverScheduler", {}),
    "TCD": ("TCDScheduler", {}),
}
SPACINGS: Mapping[str, Mapping[str, Any]] = {
    "unsaid": {},
    "linspace": LINSPACE,
    "leading": {"timestep_spacing": "leading"},
    "trailing": TRAILING,
    "zero SNR": TRAILING | {"rescale_betas_zero_snr": True},
}
SD_CONFIG: Mapping[str, Any] = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
}
Differ = Callable[..., str | None]


@pytest.fixture(scope="module")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The smallest pipeline there is: what is compared is the way through the schedule."""
    return dummy_pipe(
        tmp_path_factory.mktemp("smallest"),
        block_out_channels=(32,),
        layers_per_block=1,
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
        mid_block_type=None,
    )


@pytest.fixture
def difference(pipe: Any) -> Iterator[Differ]:
    """Say how a run differs from the pipeline's; None where it does not."""
    engines: dict[tuple[str, str], Engine] = {}
    own = from_pipe(pipe)

    def compare(name: str, *, prediction: str, spacing: str, steps: int, strength: float) -> str | None:
        config = {**SD_CONFIG, **SPACINGS[spacing], "prediction_type": prediction}
        bundle = replace(
            own,
            scheduler_class="PNDMScheduler",
            scheduler_config=config,
            scheduler_as_is=None,
            prediction_type=prediction,
        )
        if (engine := engines.get((prediction, spacing))) is None:
            engine = engines[prediction, spacing] = Engine(bundle, EngineSettings(rows_per_call=1))
        request = InpaintRequest(
            prompt="a red apple",
            image=dummy_picture((16, 16)),
            mask_image=dummy_mask((16, 16), part="corner"),
            num_inference_steps=steps,
            strength=strength,
            guidance_scale=1.0,
            seed=steps,
            scheduler=name,
            reference=True,
        )
        expected = _theirs(pipe, name, config, request)
        try:
            mine: Made | str = made(denoise(engine, bundle, request))
        except (InvalidField, NonFinite) as error:
            mine = f"{type(error).__name__}: {error}"
        where = f"{name}, {prediction}, {spacing}, {steps} steps, strength {strength}"
        if isinstance(expected, str) or isinstance(mine, str):
            return None if isinstance(mine, type(expected)) else f"{where}: {expected} beside {mine}"
        latents, levels = distance(mine, expected)
        return (
            None if latents <= 1e-4 and levels <= 1 else f"{where}: {latents:.1e} of the latents, {levels} levels"
        )

    yield compare
    for engine in engines.values():
        engine.close()


def _theirs(pipe: Any, name: str, config: Mapping[str, Any], request: InpaintRequest) -> Made | str:
    class_name, options = DOCUMENTED[name]
    try:
        pipe.scheduler = _scheduler(class_name, json.dumps({**config, **options}))
        picture = theirs(pipe, request)
    except (ValueError, IndexError, RuntimeError, NotImplementedError) as error:
        return f"{type(error).__name__}: {error}"
    return picture if np.isfinite(picture.latents).all() else "not finite"


@cache  # KDPM2's constructor takes a third of a second
def _scheduler(class_name: str, config: str) -> Any:
    return getattr(diffusers, class_name).from_config(json.loads(config))


def run(difference: Differ, **axes: Any) -> None:
    """Compare every combination of some axes, and list all that differ."""
    found = [difference(**dict(zip(axes, values))) for values in product(*axes.values())]
    assert [line for line in found if line] == []


def test_every_name_is_compared() -> None:
    assert DOCUMENTED.keys() >= SAMPLERS.keys()


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_name_is_the_class_that_is_documented(name: str, difference: Differ) -> None:
    run(difference, name=[name], prediction=["epsilon"], spacing=["unsaid"], steps=[5], strength=[1.0, 0.6])


@pytest.mark.slow
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_whole_matrix(name: str, prediction: str, difference: Differ) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(
            difference,
            name=[name],
            prediction=[prediction],
            spacing=list(SPACINGS),
            steps=[1, 2, 5, 12],
            strength=[1.0, 0.6, 0.3],
        )
