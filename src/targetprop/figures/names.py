"""Names of data sets as they are written in titles."""

DATASETS = {
    "mnist": "MNIST",
    "frozen-mnist": "frozen MNIST",
    "fashion-mnist": "Fashion-MNIST",
    "kmnist": "KMNIST",
    "cifar10": "CIFAR-10",
    "cifar10-cnn": "CIFAR-10, CNN",
}


def dataset_name(key: str) -> str:
    """The name of a data set in words. A set that is not known here keeps its own name.

    **Arguments:**

    - `key`: the name that the library knows it by, for example `fashion-mnist`. `NAME:unit` is
      written as the set itself with a remark.
    """
    base, _, scaling = key.partition(":")
    name = DATASETS.get(base, base)
    if not scaling:
        return name
    return f"{name} in [0, 1]" if scaling == "unit" else key
