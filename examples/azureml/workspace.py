"""Where these examples deploy: on this machine, or in the workspace of Azure ML that three variables name."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any

VARIABLES = ("SUBSCRIPTION_ID", "RESOURCE_GROUP", "WORKSPACE_NAME")
RETOUCH = [sys.executable, "-m", "retouch.cli"]


def connect() -> "ThisMachine | AzureML":
    """Return Azure ML where all three variables are set, and this machine where none is."""
    given = [os.environ.get(name, "") for name in VARIABLES]
    if any(given) and not all(given):
        raise ValueError(f"for Azure ML set all of {', '.join(VARIABLES)}; for this machine none")
    return AzureML(*given) if all(given) else ThisMachine()


class ThisMachine:
    """`retouch` with the files that Azure ML takes: of an endpoint nothing is needed here."""

    def deploy_online(self, endpoint: Path, deployment: Path) -> None:  # noqa: ARG002 - as for Azure ML
        """Start a server, and wait until its model is loaded."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self._url = f"http://127.0.0.1:{port}"
        self._jobs = tempfile.TemporaryDirectory()
        command = [*RETOUCH, "serve", "--deployment", deployment, "--port", str(port)]
        with Path("server.log").open("wb") as log:
            self._server = subprocess.Popen(
                [*command, "--jobs-folder", self._jobs.name], stdout=log, stderr=subprocess.STDOUT
            )
        for _ in range(600):
            if self._server.poll() is not None:
                raise RuntimeError(Path("server.log").read_text(encoding="utf-8"))
            try:
                with urllib.request.urlopen(f"{self._url}/health/ready", timeout=5):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.2)
        raise TimeoutError("the server did not become ready; server.log says more")

    def deploy_batch(self, endpoint: Path, deployment: Path) -> None:  # noqa: ARG002 - as for Azure ML
        """Remember the file: a batch needs no server here."""
        self._deployment = deployment

    def score(self, request_file: Path) -> str:
        """Return the answer to a request."""
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._url}/score", request_file.read_bytes(), headers)
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{error.code}: {error.read().decode()}") from error

    def run_batch(self, tables: Path, download: Path) -> Path:
        """Paint the rows of a folder of tables; return the file of predictions."""
        command = [*RETOUCH, "batch", "run", tables, "--output", download, "--deployment", self._deployment]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        predictions = download / "predictions.csv"
        if not predictions.exists():
            raise RuntimeError(done.stderr)
        return predictions

    def delete(self) -> None:
        """Stop the server, if there is one."""
        if hasattr(self, "_server"):
            self._server.terminate()
            self._server.wait(60)
            self._jobs.cleanup()


class AzureML:
    """A workspace, by Azure's own SDK: `pip install azure-ai-ml azure-identity`, in an environment of its own."""

    def __init__(self, subscription: str, group: str, workspace: str) -> None:
        from azure.ai.ml import MLClient
        from azure.identity import DefaultAzureCredential

        self.client = MLClient(DefaultAzureCredential(), subscription, group, workspace)

    def deploy_online(self, endpoint: Path, deployment: Path) -> None:
        """Create an endpoint with one deployment; its name is a new one, as names are unique in a region."""
        from azure.ai.ml import load_online_deployment, load_online_endpoint

        self._endpoints, client = self.client.online_endpoints, self.client
        created = load_online_endpoint(endpoint)
        created.name = self._name = _unique(created.name)
        client.online_endpoints.begin_create_or_update(created).result()
        deployed = load_online_deployment(deployment)
        deployed.endpoint_name = self._name
        client.online_deployments.begin_create_or_update(deployed).result()
        created.traffic = {deployed.name: 100}
        client.online_endpoints.begin_create_or_update(created).result()

    def deploy_batch(self, endpoint: Path, deployment: Path) -> None:
        """Create an endpoint with a deployment, and the cluster that it names, if there is none."""
        from azure.ai.ml import load_batch_endpoint
        from azure.ai.ml.entities import AmlCompute
        from azure.ai.ml.entities._load_functions import load_model_batch_deployment
        from azure.core.exceptions import ResourceNotFoundError

        self._endpoints, client = self.client.batch_endpoints, self.client
        deployed = load_model_batch_deployment(deployment)
        cluster = deployed.compute.removeprefix("azureml:")
        try:
            client.compute.get(cluster)
        except ResourceNotFoundError:
            made = AmlCompute(name=cluster, size="STANDARD_NC4AS_T4_V3", min_instances=0, max_instances=2)
            client.compute.begin_create_or_update(made).result()
        created = load_batch_endpoint(endpoint)
        created.name = self._name = deployed.endpoint_name = _unique(created.name)
        client.batch_endpoints.begin_create_or_update(created).result()
        client.batch_deployments.begin_create_or_update(deployed).result()
        self._deployment = deployed.name

    def score(self, request_file: Path) -> str:
        """Return the answer to a request."""
        return str(self.client.online_endpoints.invoke(endpoint_name=self._name, request_file=request_file))

    def run_batch(self, tables: Path, download: Path) -> Path:
        """Paint the rows of a folder of tables; return the file of predictions, downloaded."""
        from azure.ai.ml import Input

        jobs = self.client.jobs
        job: Any = self.client.batch_endpoints.invoke(
            endpoint_name=self._name,
            deployment_name=self._deployment,
            input=Input(path=str(tables), type="uri_folder"),
        )
        jobs.stream(job.name)
        scoring = next(iter(jobs.list(parent_job_name=job.name)))
        jobs.download(scoring.name, download_path=download, output_name="score")
        return download / "named-outputs" / "score" / "predictions.csv"

    def delete(self) -> None:
        """Delete the endpoint with its deployments."""
        self._endpoints.begin_delete(name=self._name).result()


def _unique(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:8]}"
