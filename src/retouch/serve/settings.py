"""Settings of the server: where it listens, who may ask, and every limit, with the environment's word for each."""

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from retouch.errors import BadInput
from retouch.request import DEFAULT_LIMITS, Limits, SafetyPolicy

ErrorProfile = Literal["honest", "azure"]


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Names that a variable separates by commas."""


def _limit(name: str, default: float, **bounds: Any) -> Any:
    """A limit of one request: the same variable sets it for the command line."""
    return Field(default, validation_alias=AliasChoices(name, f"RETOUCH_LIMIT_{name.upper()}"), **bounds)


class ServeSettings(BaseSettings):
    """What a deployer decides; each field is also a variable `RETOUCH_<FIELD>`, and options come before variables.

    Attributes:
        host, port: where to listen; anything but loopback needs keys, or `insecure`.
        api_keys: keys, separated by commas; `api_keys_file` holds one a line.
        insecure: listen on other addresses without keys.
        allowed_hosts: names by which clients may call the server, besides those of loopback and `host`.
        cors_origins: web origins whose pages may call it; none is the rule.
        rows_per_call: 0 packs calls as they come, R makes every call of exactly R rows (see `EngineSettings`).
        max_queued_rows: pictures under way or waiting; at most twice what a minute makes, once that is known.
        max_queued_bytes: memory of the bodies and pictures of all who are not answered.
        rows_per_request: rows of one `/score` or `/invocations`.
        num_images_per_prompt, num_inference_steps, prompt_chars, prompt_chunks, guidance_scale, image_bytes,
            image_pixels, image_side, image_min_side: what one request may be, as in `Limits`; their variables are
            `RETOUCH_LIMIT_<FIELD>`, as for the command line.
        body_bytes: of a whole request.
        deadline_s: until a request that waits is answered; `job_deadline_s` for jobs.
        body_read_s: until a body has arrived.
        header_bytes: of a request's line and headers together.
        keep_alive_s: how long an idle connection stays.
        max_connections: open at a time; more are answered 503.
        json_depth: nesting of a JSON body.
        per_key_rows, per_key_per_minute: pictures at a time and requests a minute of one key; without keys off.
        drain_s: what running work is given after SIGTERM.
        jobs_folder: where jobs are kept over a restart; None is a folder of the user's state directory.
        job_ttl_s: how long a finished job's pictures stay.
        job_bytes: of all jobs' pictures together; the oldest finished go first.
        resume_jobs: start jobs again that a crash interrupted.
        batch_root: a folder of this machine whose tables and pictures every client may have painted; None is none.
        batch_rows: of one batch.
        batch_bytes: of all batches' files together; the oldest finished go first.
        batch_ttl_s: how long a finished batch's files stay.
        per_key_batches: that wait or run of one key.
        picture_hosts: hosts from which pictures may be fetched by https; none switches URLs off.
        keep_metadata: let a picture's EXIF through; it may hold places and names.
        safety: the policy where a request names none; `allow_safety_off` lets a request switch it off.
        screen_input: judge the pictures that come in, too.
        content_safety: ask Azure AI Content Safety; its endpoint and key are its own variables.
        error_profile: of `/score`: honest statuses, or those of Azure's container.
        log_level: of the server's own log.
    """

    model_config = SettingsConfigDict(env_prefix="RETOUCH_", extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65_535)
    api_keys: SecretStr | None = None
    api_keys_file: Path | None = None
    insecure: bool = False
    allowed_hosts: Names = ()
    cors_origins: Names = ()
    rows_per_call: int = Field(0, ge=0, le=256)
    max_queued_rows: int = Field(64, ge=1)
    max_queued_bytes: int = Field(2 * 2**30, ge=2**20)
    rows_per_request: int = Field(8, ge=1)
    num_images_per_prompt: int = _limit("num_images_per_prompt", 4, ge=1)
    num_inference_steps: int = _limit("num_inference_steps", DEFAULT_LIMITS.num_inference_steps, ge=1)
    prompt_chars: int = _limit("prompt_chars", DEFAULT_LIMITS.prompt_chars, ge=1)
    prompt_chunks: int = _limit("prompt_chunks", DEFAULT_LIMITS.prompt_chunks, ge=1)
    guidance_scale: float = _limit("guidance_scale", DEFAULT_LIMITS.guidance_scale, gt=0)
    image_bytes: int = _limit("image_bytes", 16 * 2**20, ge=1)
    image_pixels: int = _limit("image_pixels", DEFAULT_LIMITS.image_pixels, ge=1)
    image_side: int = _limit("image_side", DEFAULT_LIMITS.image_side, ge=1)
    image_min_side: int = _limit("image_min_side", DEFAULT_LIMITS.image_min_side, ge=1)
    body_bytes: int = Field(32 * 2**20, ge=1)
    deadline_s: float = Field(120.0, gt=0)
    job_deadline_s: float = Field(3600.0, gt=0)
    body_read_s: float = Field(30.0, gt=0)
    header_bytes: int = Field(16 * 2**10, ge=1024)
    keep_alive_s: int = Field(5, ge=1)
    max_connections: int = Field(2_000, ge=1)
    json_depth: int = Field(16, ge=4)
    per_key_rows: int = Field(8, ge=0)
    per_key_per_minute: int = Field(60, ge=0)
    drain_s: float = Field(30.0, ge=0)
    jobs_folder: Path | None = None
    job_ttl_s: float = Field(3600.0, gt=0)
    job_bytes: int = Field(2 * 2**30, ge=2**20)
    resume_jobs: bool = False
    batch_root: Path | None = None
    batch_rows: int = Field(100_000, ge=1)
    batch_bytes: int = Field(8 * 2**30, ge=2**20)
    batch_ttl_s: float = Field(86_400.0, gt=0)
    per_key_batches: int = Field(4, ge=1)
    picture_hosts: Names = ()
    keep_metadata: bool = False
    safety: SafetyPolicy = "black"
    allow_safety_off: bool = False
    screen_input: bool = False
    content_safety: bool = False
    error_profile: ErrorProfile = "honest"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def of(cls, **chosen: Any) -> Self:
        """Take what was chosen, and the rest from the environment.

        Raises:
            BadInput: a setting is wrong; the message names it.
        """
        try:
            return cls(**chosen)
        except ValidationError as error:
            wrong = error.errors()[0]
            raise BadInput(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from error

    def limits(self) -> Limits:
        """Return what one request may be at most."""
        return Limits(**{field.name: getattr(self, field.name) for field in fields(Limits)})


LIMITS = tuple(
    name
    for name, field in ServeSettings.model_fields.items()
    if field.annotation in (int, float) and name != "port"
)
"""What `--limit` can set."""
