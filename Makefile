# flink-operator
#
#   make                 the operator, at build/flink-operator
#   make demo            the main job on an embedded Kubernetes, from nothing (KUBECONFIG=… uses yours)
#   make demo-down       takes the demo away again
#   make test            every test tier (tests/README.md); make test-full also what takes long
#   make unit            unit and golden tests under ASan and UBSan
#   make hostile         what `validate` says to resources that no one should have written
#   make sim             the simulator for a million passes of the operator (SIM_SEED, SIM_STEPS, SIM_BUILD=asan)
#   make mutants         bugs put in on purpose, each of which the simulator must find
#   make fuzz            libFuzzer, each parser for ten minutes (FUZZ_SECONDS)
#   make bench           figures beside their targets
#   make soak            half an hour of everything at once; what the operator keeps of it (SOAK="--asan --minutes 5")
#   make lint            format, warnings, clang-tidy, include direction
#   make format          applies the format
#   make options         writes the table of options into deploy/README.md
#   make deps            installs what building and testing need (Debian 12, root)
#
#   BUILD=release|asan   V=1 shows commands   CC=gcc

BUILD ?= release
CC ?= gcc
V ?= 0
Q := $(if $(filter 1,$(V)),,@)

PKGS := libuv libcurl libcjson yaml-0.1 openssl libwebsockets zlib
LAYERS := base json loop http kube flink cluster controller server cli
OUT := build/$(BUILD)

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
	-Wwrite-strings -Wcast-qual -Wpointer-arith -Wformat=2 -Wno-format-nonliteral -Wvla -Wundef \
	-Wimplicit-fallthrough -Wno-missing-field-initializers
CPPFLAGS += -D_GNU_SOURCE -Iinclude -DFLINKOP_VERSION='"$(VERSION)"'
CFLAGS_release := -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
LDFLAGS_release := -pie -Wl,-z,relro,-z,now -Wl,--as-needed
CFLAGS_asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS_asan := -fsanitize=address,undefined
CFLAGS += -std=gnu17 $(WARN) $(CFLAGS_$(BUILD)) $(PKG_CFLAGS)
LDFLAGS += $(LDFLAGS_$(BUILD))
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS))
PKG_LIBS = $(shell pkg-config --libs $(PKGS)) -lm

SRCS := $(foreach l,$(LAYERS),$(wildcard src/$(l)/*.c))
MAIN := src/cli/main.c
OBJS := $(patsubst src/%.c,$(OUT)/%.o,$(filter-out $(MAIN),$(SRCS)))
UNIT_SRCS := $(wildcard tests/unit/*.c)
UNIT_OBJS := $(patsubst tests/%.c,$(OUT)/tests/%.o,$(UNIT_SRCS))

.PHONY: all demo demo-down test test-full unit hostile fuzz bench soak lint format options deps clean help
all: build/flink-operator

build/flink-operator: $(OUT)/flink-operator
	$(Q)ln -sfn $(BUILD)/flink-operator $@

$(OUT)/flink-operator: $(OBJS) $(patsubst src/%.c,$(OUT)/%.o,$(MAIN))
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(OUT)/%.o: src/%.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/cluster/files.o: $(wildcard src/cluster/files/*)

$(OUT)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(CPPFLAGS) -Itests $(CFLAGS) $(shell pkg-config --cflags check) -MMD -MP -c -o $@ $<

$(OUT)/unit-tests: $(OBJS) $(UNIT_OBJS)
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) $(shell pkg-config --libs check)

demo:
	$(Q)tests/demo/demo

demo-down:
	$(Q)tests/demo/demo --down

test:
	$(Q)tests/deps build test lint fuzz
	$(Q)tests/run

test-full:
	$(Q)tests/deps build test lint fuzz
	$(Q)tests/run --full

bench:
	$(Q)tests/deps build test
	$(Q)tests/bench/run

soak:
	$(Q)tests/deps build test
	$(Q)tests/soak/run $(SOAK)

fuzz:
	$(Q)$(MAKE) --no-print-directory -f tests/fuzz/Makefile run SECONDS=$(or $(FUZZ_SECONDS),600)

include tests/sim/sim.mk

unit:
	$(Q)$(MAKE) --no-print-directory BUILD=asan build/asan/unit-tests
	$(Q)tests/unit/run build/asan/unit-tests

hostile:
	$(Q)$(MAKE) --no-print-directory BUILD=asan build/asan/flink-operator
	$(Q)tests/unit/hostile build/asan/flink-operator

lint:
	$(Q)tests/lint/lint

format:
	$(Q)clang-format-14 -i $$(git ls-files -co --exclude-standard '*.c' '*.h')

options: build/flink-operator
	$(Q)build/flink-operator options --markdown >build/options.md
	$(Q)sed -i -e '/^| option | default/,/^$$/{/^$$/!d}' -e '/^<!-- make options -->$$/r build/options.md' deploy/README.md

deps:
	$(Q)tests/deps build test lint fuzz

clean:
	rm -rf build

help:
	@sed -n 's/^#   //p' Makefile

-include $(shell find build -name '*.d' 2>/dev/null)
