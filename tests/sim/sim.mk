# The simulator: the controller and everything pure below it, with tests/sim in the place of the
# loop, HTTP, the API server and Flink. What it replaces is not linked at all, so a new call from the
# controller into those layers shows as an undefined symbol: give it a place in a tests/sim/seam_*.c.
SIM_BUILD ?= release
SIM_LAYERS := base json flink cluster controller
SIM_SRCS := $(filter-out src/controller/flink_client.c src/controller/flink_tls.c,$(foreach l,$(SIM_LAYERS),$(wildcard src/$(l)/*.c))) \
	src/kube/kube_resource.c src/kube/workqueue.c
SIM_OBJS := $(patsubst src/%.c,$(OUT)/%.o,$(SIM_SRCS)) \
	$(patsubst tests/%.c,$(OUT)/tests/%.o,$(wildcard tests/sim/*.c))
SIM_WRAP := clock_mono_ms clock_wall_ms random_hex random_unit reconcile_cluster reconcile_session_job \
	reconcile_snapshot

$(OUT)/sim: $(SIM_OBJS)
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(SIM_WRAP:%=-Wl,--wrap=%) -o $@ $^ $(PKG_LIBS)

.PHONY: sim mutants
sim:
	$(Q)$(MAKE) --no-print-directory BUILD=$(SIM_BUILD) build/$(SIM_BUILD)/sim
	$(Q)SIM_STEPS=$(or $(SIM_STEPS),1000000) tests/run-unit build/$(SIM_BUILD)/sim

mutants:
	$(Q)tests/sim/mutants
