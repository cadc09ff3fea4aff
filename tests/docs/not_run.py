"""The blocks that are not run here, each with the reason; `test_not_run` looks at them in other ways."""

_INDEX = "downloads from a package index; the files and the extra that it names are looked at"
_DEMO = "takes half a minute, and tests/demo runs it; its options are parsed"
_ENGINE = "needs a container engine; what it names is looked at"
_CLUSTER = "needs a Kubernetes cluster; the chart is rendered, and kubectl and Helm read the commands"

#: Page and first command of the block.
NOT_RUN: dict[tuple[str, str], str] = {
    ("README.md", "make demo"): "`make -n` reads it; tests/demo runs the demo, and these tests are run by the other",
    ("README.md", "python3 -m venv venv"): _INDEX,
    ("README.md", "helm upgrade --install worker helm/optico-worker"): _CLUSTER,
    ("docs/demo.md", "optico-worker demo"): _DEMO,
    ("docs/image.md", "docker build --tag optico-worker"): _ENGINE,
    ("docs/kubernetes.md", "helm upgrade --install worker helm/optico-worker"): _CLUSTER,
    ("docs/kubernetes.md", "kubectl create namespace shop"): _CLUSTER,
    ("docs/operations.md", "kubectl exec deployment/worker-optico-worker"): _CLUSTER,
    ("docs/operations.md", "helm upgrade worker helm/optico-worker"): _CLUSTER,
    ("docs/operations.md", "kubectl create secret generic optico"): _CLUSTER,
    ("docs/performance.md", "make bench"): "a quarter of an hour; `make -n` and the options' parsers read it",
    ("docs/quickstart.md", "docker rm --force kafka"): _ENGINE,
    ("docs/quickstart.md", "docker run --detach --name kafka"): _ENGINE,
    ("docs/quickstart.md", "optico-worker demo"): _DEMO,
    ("docs/quickstart.md", "python3 -m venv venv"): _INDEX,
    ("helm/optico-worker/README.md", "kubectl create namespace shop"): _CLUSTER,
}
