# Thin: everything is in CMake and in the scripts that these lines call.

JOBS ?= $(shell nproc)

# Of `make simulate`: the first seed, and how many.
SEED ?= 1
SEEDS ?= 20000

.PHONY: help setup demo test simulate sanitize torture perf format clean

help:
	@echo 'make demo      set up, build, and show the main job on a real file'
	@echo 'make test      set up, build with assertions and failpoints, run every test'
	@echo 'make simulate  run the engine under simulated faults: SEEDS=20000 of them from SEED=1 on'
	@echo 'make sanitize  the same tests of core, plugins and clients under ASan+UBSan and TSan'
	@echo 'make torture   what takes an hour: every part of tests/torture, or PART=fuzz alone'
	@echo 'make perf      set up, build for release, measure (one JSON object a line)'
	@echo 'make format    clang-format on every source'

setup:
	@packaging/setup.sh

build-%: setup
	@[ -f build/$*/build.ninja ] || cmake --preset $*
	@cmake --build build/$* -j $(JOBS)

demo: setup
	@[ -f build/release/build.ninja ] || cmake --preset release -DPM_BUILD_TESTS=OFF
	@cmake --build build/release -j $(JOBS) --target demo_products
	@packaging/demo.sh build/release

test: build-test
	@tests/run.sh test

simulate: setup
	@[ -f build/test/build.ninja ] || cmake --preset test
	@cmake --build build/test -j $(JOBS) --target simulation_test
	@PM_SEED=$(SEED) PM_SEEDS=$(SEEDS) build/test/tests/simulation_test \
	  --gtest_filter=simulation.nothing_acknowledged_is_lost_whatever_fails

sanitize: setup
	@tests/run.sh asan
	@tests/run.sh tsan

torture: setup
	@tests/torture/run.sh $(PART)

perf: setup
	@cmake --preset release -DPM_BUILD_TESTS=ON
	@cmake --build build/release -j $(JOBS) --target perf_programs
	@tests/perf/run.sh build/release

format:
	@git ls-files '*.h' '*.hpp' '*.c' '*.cpp' | xargs clang-format -i

clean:
	rm -rf build
