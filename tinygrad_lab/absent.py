"""Which of PyTorch's public names for models are absent, and what to do without each: two readers.

Who asks for one is answered with it (``habits.py``), and the documentation's page "PyTorch's
names" lists them.

Not for: names that are here; how those differ is in the documentation (``docs/pytorch.toml``).
"""

from __future__ import annotations

__all__ = ["ABSENT"]

_LAZY = "a layer has its parameters from the beginning: say its sizes, nn.{}"
_PIPES = "of PyTorch's data pipes: derive from Dataset or IterableDataset"

#: Why a name is absent and what to say instead, by its home in PyTorch.
ABSENT: dict[str, dict[str, str]] = {
    "nn": {
        "AdaptiveLogSoftmaxWithLoss": "for vocabularies of many thousands: nn.CrossEntropyLoss",
        "Buffer": "module.register_buffer(name, array): a buffer is an array, not a tensor",
        "CTCLoss": "write its recursion with np.logaddexp, which has its derivatives",
        "Container": "an old name: nn.Sequential, nn.ModuleList, nn.ModuleDict",
        "CrossMapLRN2d": "an old name: nn.LocalResponseNorm",
        "FractionalMaxPool2d": "its regions are drawn; regular ones: nn.AdaptiveMaxPool2d",
        "FractionalMaxPool3d": "its regions are drawn; regular ones: nn.AdaptiveMaxPool3d",
        "LinearCrossEntropyLoss": "saves memory on a GPU: nn.Linear and then nn.CrossEntropyLoss",
        "LinearCrossEntropyOptions": "of LinearCrossEntropyLoss",
        "NLLLoss2d": "an old name: nn.NLLLoss, which takes pictures too",
        "RNNBase": "the base of three layers: nn.RNN, nn.LSTM, nn.GRU",
        "RNNCellBase": "the base of three cells: nn.RNNCell, nn.LSTMCell, nn.GRUCell",
        "SyncBatchNorm": "for several machines; there is one: nn.BatchNorm2d",
        **{
            f"Lazy{name}": _LAZY.format(name)
            for name in (
                "BatchNorm1d",
                "BatchNorm2d",
                "BatchNorm3d",
                "Conv1d",
                "Conv2d",
                "Conv3d",
                "ConvTranspose1d",
                "ConvTranspose2d",
                "ConvTranspose3d",
                "InstanceNorm1d",
                "InstanceNorm2d",
                "InstanceNorm3d",
                "Linear",
            )
        },
    },
    "nn.functional": {
        "conv_tbc": "another layout for F.conv1d: exchange the axes",
        "ctc_loss": "write its recursion with np.logaddexp, which has its derivatives",
        "fractional_max_pool2d": "its regions are drawn; F.adaptive_max_pool2d has regular ones",
        "fractional_max_pool3d": "its regions are drawn; F.adaptive_max_pool3d has regular ones",
        "grouped_mm": "for GPUs: a @ b",
        "linear_cross_entropy": "saves memory on a GPU: F.cross_entropy(F.linear(x, w), labels)",
        "pdist": "F.pairwise_distance(x[i], x[j]) with i, j = np.triu_indices(len(x), 1)",
        "scaled_grouped_mm": "for GPUs: a @ b",
        "scaled_mm": "for GPUs: a @ b",
    },
    "nn.utils": {
        "clip_grad_norm": "an old name: clip_grad_norm_",
        "convert_conv2d_weight_memory_format": "for GPUs: there is one layout",
        "convert_conv3d_weight_memory_format": "for GPUs: there is one layout",
        "fuse_conv_bn_eval": "tl.jit(model) records both as one program",
        "fuse_conv_bn_weights": "tl.jit(model) records both as one program",
        "fuse_linear_bn_eval": "tl.jit(model) records both as one program",
        "fuse_linear_bn_weights": "tl.jit(model) records both as one program",
        "skip_init": 'nn.Linear(m, n, init="zeros"): drawing is cheap here',
    },
    "optim": {
        "Adafactor": "saves memory on a GPU: optim.Adam",
        "SparseAdam": "gradients are dense: optim.Adam",
        "swap_in_optimizer_params_and_state": "of PyTorch's compiler, and tl.jit needs none",
    },
    "utils.data": {
        "ChainDataset": "itertools.chain(a, b) in the __iter__ of an IterableDataset",
        "DFIterDataPipe": _PIPES,
        "DataChunk": _PIPES,
        "DistributedSampler": "for several machines; there is one",
        "IterDataPipe": _PIPES,
        "MapDataPipe": _PIPES,
        "StackDataset": "TensorDataset(x, y), or a Dataset whose __getitem__ gives both",
        "argument_validation": _PIPES,
        "default_convert": "np.asarray of what is no array yet",
        "functional_datapipe": _PIPES,
        "get_worker_info": "there are no worker processes",
        "guaranteed_datapipes_determinism": _PIPES,
        "non_deterministic": _PIPES,
        "runtime_validation": _PIPES,
        "runtime_validation_disabled": _PIPES,
    },
}
