# mypy: ignore-errors
"""All that verl 0.9.1 needs to train and to roll out on a CPU, by its own hooks: no source of it is changed.

verl takes it by VERL_USE_EXTERNAL_MODULES=cpu_verl VERL_PLATFORM=cpu, in every process.

1. a platform `cpu` (verl's own registry): gloo, Ray's resource GPU (a pretended one), no IPC, so weights go through
   shared memory
2. the process group: "cpu:gloo,cpu:gloo" names a device twice
3. FSDP2's CPU offload without pinned memory
4. vLLM: weights of linear layers stay unpacked, so that others can be loaded
"""

import contextlib
import importlib.abc
import importlib.util
import sys

import torch
import torch.distributed
from verl.plugin.platform import PlatformBase, PlatformRegistry

for _name in (
    "empty_cache",
    "ipc_collect",
    "memory_allocated",
    "memory_reserved",
    "max_memory_allocated",
    "max_memory_reserved",
):
    if not hasattr(torch.cpu, _name):
        setattr(torch.cpu, _name, lambda *_, **__: 0)
torch.cpu.set_rng_state = torch.set_rng_state  # of a checkpoint that is gone on from


@PlatformRegistry.register(platform="cpu")
class PlatformCPU(PlatformBase):
    device_name = "cpu"
    vendor_name = "cpu"
    device_module = torch.cpu

    def is_available(self):
        return True

    def current_device(self):
        return torch.device("cpu")

    def device_count(self):
        return 1

    def set_device(self, device_index):
        pass

    def synchronize(self, device_index=None):
        pass

    def manual_seed(self, seed):
        torch.manual_seed(seed)

    manual_seed_all = manual_seed

    def set_allocator_settings(self, settings):
        pass

    def empty_cache(self):
        pass

    def get_device_capability(self, device_index=0):
        return None, None

    def communication_backend_name(self):
        return "gloo"

    def visible_devices_envvar(self):
        return "CUDA_VISIBLE_DEVICES"

    @contextlib.contextmanager
    def nvtx_range(self, msg):
        yield

    def profiler_start(self):
        pass

    profiler_stop = profiler_start

    def ray_resource_name(self):
        return "GPU"

    def ray_noset_envvars(self):
        return ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"]

    def is_ipc_supported(self):
        return False

    def cudart(self):
        return None


_plain_init = torch.distributed.init_process_group


def _init_process_group(backend=None, *args, **kwargs):
    if backend == "cpu:gloo,cpu:gloo":
        backend = "gloo"
    return _plain_init(backend, *args, **kwargs)


torch.distributed.init_process_group = _init_process_group


def _fix_fsdp(module):
    plain = module.CPUOffloadPolicy
    module.CPUOffloadPolicy = lambda pin_memory=True: plain(pin_memory=False)


def _fix_layers(module):
    def keep(layer, remove_weight):
        layer.cpu_linear = torch.nn.functional.linear

    module.dispatch_cpu_unquantized_gemm = keep


def _fix_triton(module):
    def own_dict(value):
        space = vars(value)
        return space if isinstance(space, dict) else {}

    module.vars = own_dict


_AFTER = {
    "verl.workers.engine.fsdp.transformer_impl": _fix_fsdp,
    "vllm.model_executor.layers.utils": _fix_layers,
    "vllm.triton_utils.dispatcher": _fix_triton,
}


class _After(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name not in _AFTER:
            return None
        fix = _AFTER.pop(name)
        spec = importlib.util.find_spec(name)
        plain = spec.loader.exec_module

        def exec_module(module):
            plain(module)
            fix(module)

        spec.loader.exec_module = exec_module
        return spec


for _name in list(_AFTER):
    if _name in sys.modules:
        _AFTER.pop(_name)(sys.modules[_name])
sys.meta_path.insert(0, _After())
