"""The networks beside their oracles: a loop by hand, `transformers`' Llama, a document alone, no cache."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpuskit.errors import UsageError
from corpuskit.lm.recipe import SIZES, Shape, shape_of, size_of

torch = pytest.importorskip("torch")

from corpuskit.lm import network, rotary, transformer  # noqa: E402
from corpuskit.lm.gated import silu_gated  # noqa: E402
from corpuskit.lm.norm import rms_norm  # noqa: E402
from corpuskit.lm.sampling import Sampling, sample  # noqa: E402

GROUPED = Shape(
    layers=2, width=24, heads=6, kv_heads=2, hidden=40, vocab_size=29, block_tokens=16, end_id=0, arch="llama", seed=3
)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def of(arch: str) -> Any:
    """Give a network whose embeddings are large enough for context to show in its scores."""
    net = network.new(dataclasses.replace(GROUPED, arch=arch))
    with torch.no_grad():
        net.embed_tokens.weight.mul_(4)
    return net.eval()


def ids_of(seed: int, *size: int) -> Any:
    return torch.randint(1, 29, size, generator=torch.Generator().manual_seed(seed))


# --- attention


def test_grouped_attention_is_the_loop_written_out_by_hand() -> None:
    layer = network.new(GROUPED).layers[0].self_attn
    x = torch.randn(1, 5, 24, generator=torch.Generator().manual_seed(0))
    got = layer(x[0], rotary.rope(0, 5, GROUPED), None, None).detach().numpy()
    weights = {name: value.detach().double().numpy() for name, value in layer.named_parameters()}
    q, k, v = (x.double().numpy()[0] @ weights[f"{name}_proj.weight"].T for name in "qkv")
    gathered = np.zeros((5, 24))
    for head in range(6):
        own, shared = slice(4 * head, 4 * head + 4), slice(4 * (head // 3), 4 * (head // 3) + 4)
        for i in range(5):
            scores = np.array([turned(q[i, own], i) @ turned(k[j, shared], j) for j in range(i + 1)]) / math.sqrt(4)
            weight = np.exp(scores) / np.exp(scores).sum()
            gathered[i, own] = sum(weight[j] * v[j, shared] for j in range(i + 1))
    np.testing.assert_allclose(got, gathered @ weights["o_proj.weight"].T, atol=1e-6)


def turned(vector: Any, position: int) -> np.ndarray[Any, Any]:
    """Turn pairs (i, i + 2) of a head of 4 as complex numbers."""
    pairs = (vector[:2] + 1j * vector[2:]) * np.exp(1j * position * 10_000.0 ** (-np.arange(2) / 2))
    return np.concatenate([pairs.real, pairs.imag])


@pytest.mark.parametrize("size", ["layers=2,width=24,heads=6,kv_heads=2,hidden=40", "layers=3,width=32,heads=2"])
def test_logits_are_those_of_transformers_llama_with_the_same_weights(size: str) -> None:
    transformers = pytest.importorskip("transformers")
    shape = shape_of(size, vocab_size=97, block_tokens=64, end_id=0, seed=1)
    net = network.new(shape)
    config = transformers.LlamaConfig(
        vocab_size=97,
        hidden_size=shape.width,
        intermediate_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=64,
        rms_norm_eps=shape.norm_epsilon,
        rope_theta=shape.rope_theta,
        tie_word_embeddings=True,
    )
    llama = transformers.LlamaForCausalLM(config).eval()
    llama.load_state_dict({f"model.{name}": value for name, value in net.state_dict().items()}, strict=False)
    ids = torch.randint(97, (3, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(
            net(ids) @ net.embed_tokens.weight.T, llama(input_ids=ids).logits, atol=1e-5, rtol=1e-5
        )


def test_sharing_out_and_turning_at_once_gives_what_the_single_operations_give() -> None:
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(3, 7, 6 + 2 * 2, 4, generator=draws, dtype=torch.float64, requires_grad=True)
    rotation = tuple(each.double() for each in rotary.rope(5, 12, GROUPED))
    q, k, v = rotary.turned(x, rotation, 6, 2)
    parts = torch.split(x.transpose(1, 2), [6, 2, 2], 1)
    expected = (rotary.rotate(parts[0], rotation), rotary.rotate(parts[1], rotation), parts[2])
    slopes = [torch.randn(each.shape, generator=draws, dtype=torch.float64) for each in expected]
    for ours, theirs in zip((q, k, v), expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    (ours,) = torch.autograd.grad((q, k, v), x, slopes)
    (theirs,) = torch.autograd.grad(expected, x, slopes)
    torch.testing.assert_close(ours, theirs)


def test_the_gate_and_its_gradient_are_those_of_pytorch() -> None:
    gate = torch.cat((torch.linspace(-40, 40, 1001), torch.tensor([0.0, 1e-20, 90.0, -90.0]))).requires_grad_()
    up = torch.randn(len(gate), generator=torch.Generator().manual_seed(0)).requires_grad_()
    slope = torch.randn(len(gate), generator=torch.Generator().manual_seed(1))
    ours, theirs = silu_gated(gate, up), torch.nn.functional.silu(gate) * up
    torch.testing.assert_close(ours, theirs, rtol=2e-6, atol=3e-5)
    for mine, other in zip(
        torch.autograd.grad(ours, (gate, up), slope), torch.autograd.grad(theirs, (gate, up), slope), strict=True
    ):
        torch.testing.assert_close(mine[:-4], other[:-4], rtol=1e-5, atol=1e-4)
    with torch.no_grad():
        assert torch.equal(silu_gated(gate, up), theirs)


def test_numbers_of_other_types_take_the_operations_of_pytorch() -> None:
    x = torch.randn(2, 3, 4, 4, dtype=torch.bfloat16)
    q, k, v = rotary.turned(x, rotary.rope(0, 3, GROUPED), 2, 1)
    assert [each.shape for each in (q, k, v)] == [(2, 2, 3, 4), (2, 1, 3, 4), (2, 1, 3, 4)]
    assert rms_norm(x, torch.ones(4, dtype=torch.bfloat16), 1e-5).dtype == torch.bfloat16


def test_rms_norm_and_its_gradient_are_those_of_pytorch() -> None:
    x = torch.randn(2, 3, 8, dtype=torch.double, requires_grad=True)
    weight = torch.randn(8, dtype=torch.double, requires_grad=True)
    slope = torch.randn(2, 3, 8, dtype=torch.double)
    oracle = torch.nn.functional.rms_norm(x, (8,), weight, 1e-5)
    ours = rms_norm(x, weight, 1e-5)
    torch.testing.assert_close(ours, oracle)
    torch.testing.assert_close(
        torch.autograd.grad(ours, (x, weight), slope), torch.autograd.grad(oracle, (x, weight), slope)
    )


# --- documents in one block


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(0, 99))
def test_masked_documents_have_the_vectors_that_they_have_alone(lengths: list[int], seed: int) -> None:
    net = of("llama")
    documents = [ids_of(seed + at, length) for at, length in enumerate(lengths)]
    # Each after the end mark of the one before it, as in the stream that blocks are cut from.
    alone = [torch.cat((torch.zeros(1, dtype=torch.long), each))[None] for each in documents]
    block = torch.cat(alone, 1)
    with torch.no_grad():
        together = net(block, transformer.document_mask(block, 0))
        torch.testing.assert_close(together, torch.cat([net(each) for each in alone], 1), atol=1e-5, rtol=1e-5)


def test_without_a_mask_a_document_sees_the_one_before_it() -> None:
    net, block = of("llama"), torch.tensor([[5, 6, 0, 7, 8]])
    with torch.no_grad():
        masked, plain = net(block, transformer.document_mask(block, 0)), net(block)
    torch.testing.assert_close(masked[:, :2], plain[:, :2])
    assert not torch.allclose(masked[:, 2:], plain[:, 2:], atol=1e-3)


# --- recurrent baselines


@pytest.mark.parametrize("arch", ["lstm", "gru"])
def test_recurrent_layers_are_their_formulas(arch: str) -> None:
    net = network.new(dataclasses.replace(GROUPED, arch=arch, layers=1))
    ids = ids_of(0, 1, 6)
    w = {name.removeprefix("layers."): value.detach() for name, value in net.named_parameters()}
    h, c = torch.zeros(24), torch.zeros(24)
    vectors = []
    for x in w["embed_tokens.weight"][ids[0]]:
        of_input = w["weight_ih_l0"] @ x + w["bias_ih_l0"]
        of_state = w["weight_hh_l0"] @ h + w["bias_hh_l0"]
        if arch == "lstm":
            i, f, g, o = (of_input + of_state).chunk(4)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        else:
            (ri, zi, ni), (rs, zs, ns) = of_input.chunk(3), of_state.chunk(3)
            z = (zi + zs).sigmoid()
            h = (1 - z) * (ni + (ri + rs).sigmoid() * ns).tanh() + z * h
        vectors.append(h)
    torch.testing.assert_close(net(ids)[0], net.norm(torch.stack(vectors)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("arch", ["llama", "lstm", "gru"])
def test_parameters_are_counted(arch: str) -> None:
    shape = dataclasses.replace(GROUPED, arch=arch)
    net = network.new(shape)
    assert sum(weight.numel() for weight in net.parameters()) == shape.parameters
    matrices = sum(
        weight.numel() for name, weight in net.named_parameters() if weight.ndim == 2 and "embed" not in name
    )
    assert matrices == shape.matrix_parameters


def test_forget_gates_begin_open() -> None:
    biases = dict(network.new(dataclasses.replace(GROUPED, arch="lstm")).named_parameters())["layers.bias_ih_l0"]
    assert biases.tolist() == [0.0] * 24 + [1.0] * 24 + [0.0] * 48


# --- what comes next


@pytest.mark.parametrize("arch", ["llama", "lstm", "gru"])
def test_the_cache_changes_no_probability(arch: str) -> None:
    kept, document = network.Network(of(arch), CPU), ids_of(1, 50).numpy()
    for at in range(51):  # through four windows
        fresh = network.Network(of(arch), CPU)
        np.testing.assert_allclose(
            kept.next_probabilities(document[:at]), fresh.next_probabilities(document[:at]), atol=1e-6
        )


@pytest.mark.parametrize("arch", ["llama", "gru"])
def test_the_cache_changes_no_token_that_is_written(arch: str) -> None:
    def written(at_once: bool) -> list[int]:
        model = network.Network(of(arch), CPU)

        def anew(context: Any) -> Any:
            return network.Network(of(arch), CPU).next_probabilities(context)

        how = Sampling(temperature=0.9, top_k=12, top_p=0.95)
        following = model.next_probabilities if at_once else anew
        return list(sample(following, np.array([4, 9, 2]), tokens=40, end_id=None, how=how, seed=7))

    assert written(at_once=True) == written(at_once=False)


def test_with_the_cache_a_step_reads_one_position() -> None:
    net = of("llama")
    model, read = network.Network(net, CPU), []
    net.register_forward_pre_hook(lambda module, arguments: read.append(arguments[0].shape[1]))
    for at in range(3, 12):
        model.next_probabilities(np.arange(1, at))
    assert read == [3, *[1] * 8]


def test_what_comes_next_is_what_scoring_charges_for_it() -> None:
    model, document = network.Network(of("llama"), CPU), ids_of(2, 40).numpy()
    p = [model.next_probabilities(document[:at])[document[at]] for at in range(40)]
    nats, _ = model.score(document.astype(np.uint16), np.array([0, 40]))
    assert -np.log(p).sum() == pytest.approx(nats[0], rel=1e-5)


def test_another_context_starts_anew() -> None:
    model = network.Network(of("llama"), CPU)
    first = model.next_probabilities(np.array([3, 4, 5]))
    model.next_probabilities(np.array([3, 9, 5, 6]))
    np.testing.assert_array_equal(first, model.next_probabilities(np.array([3, 4, 5])))


# --- sizes that are written out


def test_a_written_size_fills_in_what_it_leaves_out() -> None:
    assert dataclasses.astuple(size_of("layers=4,width=128"))[:5] == (4, 128, 2, 344, 2)
    assert dataclasses.astuple(size_of("width=48, layers=1, heads=6,kv_heads=3,hidden=7"))[:5] == (1, 48, 6, 7, 3)
    assert size_of("mini") is SIZES["mini"]


@pytest.mark.parametrize(
    "text",
    ["huge", "", "layers=4", "width=128", "layers=0,width=8", "layers=4,width=-8", "layers=4,width=100,heads=3",
     "layers=1,width=12,heads=4", "layers=1,width=64,heads=4,kv_heads=3", "layers=1,width=64,depth=3"],
)  # fmt: skip
def test_a_size_that_makes_no_network_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--size"):
        size_of(text)
