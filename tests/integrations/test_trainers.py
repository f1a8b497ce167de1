"""Trainers: the real Lightning, Hugging Face Trainer and Accelerate, with accumulation and clipping of their own."""

from __future__ import annotations

import csv
import io
import logging
import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

import gradscope

pytestmark = pytest.mark.filterwarnings("ignore")
BATCHES = [torch.ones(2, 4) * (k + 1) for k in range(8)]


@pytest.fixture
def lightning():
    return pytest.importorskip("pytorch_lightning")


def build_module(lightning, cut, automatic=True):
    class Pair(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = nn.Linear(4, 3), nn.Linear(3, 1)
            self.scale = nn.Parameter(torch.ones(1))
            self.loss = nn.MSELoss()
            self.automatic_optimization = automatic

        def training_step(self, batch, _):
            hidden = self.encoder(batch)
            loss = (self.decoder(hidden.detach() if cut else hidden) * self.scale).square().mean()
            if not automatic:
                optimizer = self.optimizers()
                optimizer.zero_grad()
                self.manual_backward(loss)
                optimizer.step()
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.01)

    return Pair()


def applied(event):
    """The norm that the optimizer saw, where it was measured."""
    return math.hypot(*(norm for norm in event.norms.values() if norm is not None))


def assert_cut(report, model, text):
    """The one error: this model is cut off by a detach() on the line with this text."""
    (finding,) = [f for f in report.findings if f.severity == "error"]
    assert (finding.code, finding.model, finding.cause, finding.evidence) == ("GS101", model, "detach", "traced")
    assert text in finding.location.text


def fit(lightning, module, callbacks, tmp_path, **options):
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", default_root_dir=str(tmp_path), callbacks=callbacks, log_every_n_steps=1,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
        **{"logger": False, **options},
    )  # fmt: skip
    trainer.fit(module, DataLoader(BATCHES, batch_size=None))
    return trainer


def test_lightning_names_the_models_inside(lightning, tmp_path):
    from gradscope.integrations.lightning import GradscopeCallback

    callback = GradscopeCallback()
    module = build_module(lightning, cut=True)
    fit(lightning, module, callback, tmp_path)

    assert [model.name for model in callback.report.models] == ["encoder", "decoder", "Pair"]
    assert_cut(callback.report, "encoder", "hidden.detach() if cut")
    assert not any(p._post_accumulate_grad_hooks for p in module.parameters())
    assert torch._C._len_torch_function_stack() == 0


@pytest.mark.parametrize("automatic", [True, False])
def test_lightning_healthy(automatic, lightning, tmp_path):
    from gradscope.integrations.lightning import GradscopeCallback

    callback = GradscopeCallback(strict=True)
    fit(lightning, build_module(lightning, cut=False, automatic=automatic), callback, tmp_path)

    assert callback.report.ok
    assert callback.report.run.backwards == 8


def test_lightning_accumulation_clipping_and_half_precision(lightning, tmp_path):
    from gradscope.integrations.lightning import GradscopeCallback

    callback = GradscopeCallback()
    options = {"accumulate_grad_batches": 2, "gradient_clip_val": 0.01, "precision": "bf16-mixed"}
    fit(lightning, build_module(lightning, cut=False), callback, tmp_path, **options)
    run = callback.report.run

    assert (run.backwards, len(run.step_events)) == (8, 4)
    assert callback.report.ok
    assert [event.step for event in run.backward_events] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert all(applied(event) <= 0.0101 for event in run.step_events)
    assert math.hypot(*run.backward_events[1].norms.values()) > 0.1


@pytest.mark.parametrize("options", [{"automatic": True, "accumulate_grad_batches": 2}, {"automatic": False}])
def test_lightning_traces_a_cut_through_accumulated_batches_and_manual_steps(options, lightning, tmp_path):
    from gradscope.integrations.lightning import GradscopeCallback

    callback, automatic = GradscopeCallback(), options.pop("automatic")
    fit(lightning, build_module(lightning, cut=True, automatic=automatic), callback, tmp_path, **options)

    assert_cut(callback.report, "encoder", "hidden.detach() if cut")


def test_lightning_logs_the_norms(lightning, tmp_path):
    from pytorch_lightning.loggers import CSVLogger

    from gradscope.integrations.lightning import GradscopeCallback

    logger = CSVLogger(tmp_path)
    fit(lightning, build_module(lightning, cut=False), GradscopeCallback(), tmp_path, logger=logger)
    (table,) = tmp_path.rglob("metrics.csv")

    assert "gradscope/grad_norm/encoder" in table.read_text().splitlines()[0]


@pytest.mark.parametrize("device", ["cpu", "far"])
def test_lightning_logs_what_was_measured_under_its_step(device, lightning, tmp_path, monkeypatch):
    from pytorch_lightning.loggers import CSVLogger

    from gradscope.capture import meter
    from gradscope.integrations.lightning import GradscopeCallback

    monkeypatch.setattr(meter, "on_cpu", lambda tensors: device == "cpu")
    module = build_module(lightning, cut=False)
    norms, inner = {}, module.configure_gradient_clipping

    def noted(*args, **kwargs):
        if module.encoder.weight.grad is not None:
            norms[module.global_step] = math.hypot(*(p.grad.norm().item() for p in module.encoder.parameters()))
        if module.global_step >= 4:
            module.encoder.requires_grad_(False)  # from the next step on
        return inner(*args, **kwargs)

    monkeypatch.setattr(module, "configure_gradient_clipping", noted)
    fit(lightning, module, GradscopeCallback(), tmp_path, logger=CSVLogger(tmp_path))
    (table,) = tmp_path.rglob("metrics.csv")
    rows = list(csv.DictReader(table.open()))
    told = {int(r["step"]): float(v) for r in rows if (v := r["gradscope/grad_norm/encoder"])}

    assert list(norms) == [0, 1, 2, 3, 4]
    assert told == pytest.approx(norms)


def test_lightning_strict_raises(lightning, tmp_path):
    from gradscope.integrations.lightning import GradscopeCallback

    with pytest.raises(gradscope.GradientFlowError, match="encoder"):
        fit(lightning, build_module(lightning, cut=True), GradscopeCallback(strict=True), tmp_path)


def test_lightning_detaches_after_an_exception(lightning, tmp_path):
    from gradscope.integrations.lightning import GradscopeCallback

    class Stop(lightning.Callback):
        def on_train_batch_end(self, *args, **kwargs):
            raise RuntimeError

    callback, module = GradscopeCallback(), build_module(lightning, cut=False)
    with pytest.raises(RuntimeError):
        fit(lightning, module, [callback, Stop()], tmp_path)

    assert callback.report.run.backwards == 1
    assert not any(p._post_accumulate_grad_hooks for p in module.parameters())


# --- Hugging Face -----------------------------------------------------------------------------------------------------


@pytest.fixture
def transformers():
    pytest.importorskip("accelerate")
    return pytest.importorskip("transformers")


@pytest.fixture
def said():
    """What the callback logs: the handlers of transformers hold on to a stream that pytest does not see."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger("transformers.gradscope").addHandler(handler)
    yield stream
    logging.getLogger("transformers.gradscope").removeHandler(handler)


def train_classifier(transformers, callback, tmp_path, *, cut, **options):
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, num_labels=2
    )

    class Classifier(transformers.BertForSequenceClassification):
        def forward(self, input_ids, labels, **_):
            pooled = self.bert(input_ids).pooler_output
            logits = self.classifier(pooled.detach() if cut else pooled)
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    model = Classifier(config)
    data = [{"input_ids": torch.arange(5) + k % 3, "labels": k % 2} for k in range(16)]
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path), num_train_epochs=1, per_device_train_batch_size=2, use_cpu=True, report_to=[],
        disable_tqdm=True, save_strategy="no", logging_strategy="no", **options,
    )  # fmt: skip
    transformers.Trainer(model, arguments, train_dataset=data, callbacks=[callback]).train()
    return model


def test_huggingface_names_the_models_inside(transformers, tmp_path, said):
    from gradscope.integrations.huggingface import GradscopeCallback

    callback = GradscopeCallback()
    model = train_classifier(transformers, callback, tmp_path, cut=True)

    assert [m.name for m in callback.report.models] == ["bert", "classifier"]
    assert_cut(callback.report, "bert", "pooled.detach() if cut")
    assert torch._C._len_torch_function_stack() == 0
    assert "bert" in said.getvalue()
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())


def test_huggingface_traces_a_cut_through_accumulated_batches(transformers, tmp_path):
    from gradscope.integrations.huggingface import GradscopeCallback

    callback = GradscopeCallback()
    train_classifier(transformers, callback, tmp_path, cut=True, gradient_accumulation_steps=2)

    assert_cut(callback.report, "bert", "pooled.detach() if cut")


def test_huggingface_accumulation_and_clipping(transformers, tmp_path):
    from gradscope.integrations.huggingface import GradscopeCallback

    callback = GradscopeCallback()
    train_classifier(transformers, callback, tmp_path, cut=False, gradient_accumulation_steps=2, max_grad_norm=0.01)
    run = callback.report.run

    assert (run.backwards, len(run.step_events)) == (8, 4)
    assert callback.report.ok, str(callback.report)
    assert [event.step for event in run.backward_events] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert all(applied(event) <= 0.0101 for event in run.step_events)


def test_huggingface_mixed_precision(transformers, tmp_path):
    from gradscope.integrations.huggingface import GradscopeCallback

    callback = GradscopeCallback(strict=True)
    train_classifier(transformers, callback, tmp_path, cut=False, gradient_accumulation_steps=2, bf16=True)

    assert callback.report.ok, str(callback.report)
    assert [model.name for model in callback.report.models] == ["bert", "classifier"]
    assert [event.step for event in callback.report.run.step_events] == [0, 1, 2, 3]


def test_models_inside_a_wrapper_are_named_as_the_user_names_them():
    from gradscope.integrations.models import models_inside

    module = nn.ModuleDict({"encoder": nn.Linear(2, 2), "empty": nn.Tanh(), "decoder": nn.Linear(2, 1)})
    for wrapped in (module, nn.DataParallel(module), torch.compile(module, backend="eager")):
        assert models_inside(wrapped) == {"encoder": module["encoder"], "decoder": module["decoder"]}


@pytest.mark.parametrize("precision", ["no", "bf16"])
@pytest.mark.parametrize("cut", [True, False])
def test_accelerate_with_two_models_in_one_module(precision, cut):
    accelerate = pytest.importorskip("accelerate")
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)  # of a test before, in this process
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2, mixed_precision=precision)
    net = nn.ModuleDict({"encoder": nn.Linear(4, 3), "decoder": nn.Linear(3, 1)})
    optimizer = torch.optim.SGD(net.parameters(), 0.01)
    net, optimizer, loader = accelerator.prepare(net, optimizer, DataLoader(BATCHES, batch_size=None))
    with gradscope.watch(dict(net.items())) as scope:
        for batch in loader:
            with accelerator.accumulate(net):
                hidden = net["encoder"](batch)
                accelerator.backward(net["decoder"](hidden.detach() if cut else hidden).square().mean())
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(net.parameters(), 0.01)
                optimizer.step()
                optimizer.zero_grad()
    accelerator.free_memory()
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    report = scope.report()

    assert [model.name for model in report.models] == ["encoder", "decoder"]
    assert {f.model for f in report.findings if f.severity == "error"} == ({"encoder"} if cut else set())
    assert report.ok is not cut
    assert [event.step for event in report.run.backward_events] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert all(applied(event) <= 0.0101 for event in report.run.step_events)


def test_accelerate_needs_nothing():
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    encoder, decoder = nn.Linear(4, 3), nn.Linear(3, 1)
    optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], 0.01)
    encoder, decoder, optimizer, loader = accelerator.prepare(
        encoder, decoder, optimizer, DataLoader(BATCHES, batch_size=None)
    )
    with gradscope.watch(encoder=encoder, decoder=decoder) as scope:
        for batch in loader:
            with accelerator.accumulate(encoder, decoder):
                accelerator.backward(decoder(encoder(batch).detach()).mean())
                accelerator.clip_grad_norm_(decoder.parameters(), 0.01)
                optimizer.step()
                optimizer.zero_grad()
    report = scope.report()

    assert (report.run.backwards, len(report.run.step_events)) == (8, 4)
    assert {f.model for f in report.findings if f.severity == "error"} == {"encoder"}
