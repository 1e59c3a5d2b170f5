# make install     .venv with everything pinned (about 3 minutes and 7 GB, once)
# make quickstart  the whole chain, small; writes runs/quickstart/report.html
# make test        the tests        make lint   ruff and mypy        make clean   undo it (runs/ stays)
# make simpler     what the SIMPLER suites need besides, in .venv and runs/simpler (docs/simpler.md)

export MUJOCO_GL ?= egl
export OMP_NUM_THREADS ?= $(shell nproc)

PIP_VERSION := 26.3
CHECK := import sys; sys.exit(sys.version_info[:2] != (3, 12))
# the first of these that really is 3.12 (a pyenv shim may exist and not run)
PYTHON ?= $(shell for p in python3.12 python3; do \
	$$p -c '$(CHECK)' >/dev/null 2>&1 && { echo $$p; break; }; done)
BIN := .venv/bin

# Meshes and an installer of software Vulkan, where somebody has put them beside the checkout.
SHARED ?= ../shared/simpler
MESHES := runs/simpler/assets
DOWNLOAD := MS_ASSET_DIR=$(MESHES) $(BIN)/python -m mani_skill.utils.download_asset -y

.PHONY: install quickstart test lint clean simpler

install: .venv/.installed

.venv/.installed: pyproject.toml lerobot_policy_robowm/pyproject.toml constraints.txt .python-version
	@'$(PYTHON)' -c '$(CHECK)' >/dev/null 2>&1 || { echo \
	"make: no Python 3.12 (PYTHON='$(PYTHON)'). Mend: apt install python3.12 python3.12-venv, or" \
	"pyenv install 3.12; or name one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(BIN)/python -c '$(CHECK)' >/dev/null 2>&1 || '$(PYTHON)' -m venv --clear .venv || { echo \
	"make: cannot make .venv. Mend: apt install python3.12-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check pip==$(PIP_VERSION)
	$(BIN)/python -m pip install --disable-pip-version-check \
		--constraint constraints.txt --build-constraint constraints.txt \
		--editable . --editable lerobot_policy_robowm --group dev
	@# Both OpenCV packages write cv2/. The headless one must be the last: it needs no libGL.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall \
		--constraint constraints.txt opencv-python-headless
	@touch $@

quickstart: install
	$(BIN)/robowm quickstart $(if $(CLIPS),--clips '$(CLIPS)')

simpler: install
	$(BIN)/python -m pip install --disable-pip-version-check \
		--constraint constraints.txt --editable '.[simpler]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall \
		--constraint constraints.txt opencv-python-headless
	$(MAKE) $(MESHES)/data
	@# Needed (as root) where Mesa is older than 24.3, such as on Debian 12.
	[ ! -f '$(SHARED)/get_lavapipe.sh' ] || bash '$(SHARED)/get_lavapipe.sh' runs/simpler/vulkan
	$(BIN)/robowm doctor

$(MESHES)/data:
	mkdir -p $(MESHES)
	if [ -f '$(SHARED)/widowx_assets.tar.xz' ]; then \
		tar -xJf '$(SHARED)/widowx_assets.tar.xz' -C $(MESHES) --strip-components 1; \
	else $(DOWNLOAD) bridge_v2_real2sim && $(DOWNLOAD) widowx250s; fi

# A process a core, one thread each: threads that wait for each other make a test 50 times slower.
test: export OMP_NUM_THREADS := 1
test: install
	$(BIN)/python -m pytest --numprocesses $(shell nproc) --maxprocesses 8 \
		--dist loadfile --no-loadscope-reorder

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
