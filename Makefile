# SPDX-License-Identifier: Apache-2.0
# ambit: start AI agents inside bounds that the kernel holds.
#
#   make            build into build/ (laid out as it will be installed)
#   make demo       the main job, from nothing to a retired agent, on one screen
#   make check      build, then every test
#   make check-kernels  the tests on Debian's kernels 6.1, 6.12 and the newest, by qemu
#   make deps       install the Debian packages that are missing, naming them
#   make install    PREFIX=/usr/local DESTDIR=
#   make bench | lint | clean

PREFIX ?= /usr/local
DESTDIR ?=
B := build
BIN := $(B)/bin
LIBEXEC := $(B)/libexec/ambit

CC := gcc
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
CLANG := clang
BPFTOOL := $(shell command -v bpftool || echo /usr/sbin/bpftool)

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wcast-qual -Wwrite-strings -Wvla -Wundef -Wformat=2 \
	-Wimplicit-fallthrough -Wno-missing-field-initializers
HARDEN := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection \
	-fcf-protection
# A checkout treats warnings as errors, a release tarball does not.
WERROR := $(if $(wildcard .git),-Werror)
OUR_CFLAGS := -std=c17 -D_GNU_SOURCE -Iinclude -Ilauncher -I$(B)/gen $(WARNINGS) $(WERROR) $(HARDEN)
PIE := -fPIE
LDFLAGS ?= -Wl,-z,relro,-z,now

# ---- packages -------------------------------------------------------------
BUILD_PACKAGES := gcc make libc6-dev linux-libc-dev musl-tools clang bpftool \
	libbpf-dev libseccomp-dev libcap-dev libssl-dev libcyaml-dev libyaml-dev \
	libjansson-dev libc-ares-dev
TEST_PACKAGES := perl iproute2 openssl curl git python3 python3-jwt \
	python3-cryptography nodejs nginx-light procps tmux bubblewrap hyperfine \
	util-linux strace gcc-multilib man-db mandoc libclang-rt-dev gnutls-bin dnsmasq-base \
	bind9-dnsutils golang-go cargo librust-rustls-dev

# ---- what is made of what -------------------------------------------------
sources = $(sort $(wildcard launcher/$(1)/*.c))
objects = $(patsubst %.c,$(B)/obj/%.o,$(call sources,$(1)))
BASE := $(B)/lib/base.a
PROFILE := $(B)/lib/profile.a
AUDIT := $(B)/lib/audit.a

PROGRAMS := $(BIN)/ambit $(LIBEXEC)/ambitd $(LIBEXEC)/ambit-init $(LIBEXEC)/ambit-recorder \
	$(LIBEXEC)/ambit-issuer $(LIBEXEC)/ambit-porter \
	$(LIBEXEC)/ambit-audit $(LIBEXEC)/ambit-profile

# One line a step; V=1 shows the commands.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))

.PHONY: all demo check check-kernels deps install bench lint clean
.DELETE_ON_ERROR:
.SECONDARY:
all: $(PROGRAMS)

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(OUR_CFLAGS) $(CFLAGS) $(PIE) -MMD -MP -c -o $@ $<

# Pure modules are held to conversions too.
$(B)/obj/launcher/profile/%.o $(B)/obj/launcher/audit/%.o: WARNINGS += -Wconversion

$(B)/lib/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^
$(BASE): $(call objects,base)
$(PROFILE): $(filter-out %/main.o,$(call objects,profile))
$(AUDIT): $(filter-out %/main.o,$(call objects,audit))

define link
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pie -o $@ $^ $(1)
endef

# Two programs are executed once per launch: the client, and process 1 of the
# agent.  They are static, so that there is no loader and no relocation, and made
# with musl, because glibc asks the processor for its caches at every start, and
# in a virtual machine each question is a trip to the host (0.2 ms in all).
MUSL := musl-gcc -idirafter /usr/include -idirafter /usr/include/$(MULTIARCH)
$(B)/musl/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(MUSL) $(filter-out -fcf-protection -D_FORTIFY_SOURCE=2,$(OUR_CFLAGS)) $(CFLAGS) -MMD -MP -c -o $@ $<
define link_static
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(MUSL) $(CFLAGS) -static -o $@ $^ $(1)
endef
musl_objects = $(patsubst %.c,$(B)/musl/%.o,$(call sources,$(1)))
JANSSON := $(firstword $(wildcard /usr/lib/$(MULTIARCH)/libjansson.a /usr/lib/libjansson.a))
$(BIN)/ambit: $(call musl_objects,ambit) $(patsubst %,$(B)/musl/launcher/base/%.o,error message number text)
	$(call link_static,$(JANSSON))
$(LIBEXEC)/ambit-init: $(call musl_objects,init)
	$(call link_static)
$(LIBEXEC)/ambitd: $(call objects,warden) $(PROFILE) $(BASE)
	$(call link,-lcyaml -lyaml -lseccomp -lcap -lbpf -ljansson -lcrypto)
$(LIBEXEC)/ambit-recorder: $(call objects,recorder) $(AUDIT) $(BASE)
	$(call link,-lseccomp -lcap)
$(LIBEXEC)/ambit-issuer: $(call objects,issuer) $(BASE)
	$(call link,-lseccomp -lcap -lcrypto)
$(LIBEXEC)/ambit-porter: $(call objects,porter) $(BASE)
	$(call link,-lseccomp -lcap -lcares)
$(LIBEXEC)/ambit-audit: $(B)/obj/launcher/audit/main.o $(AUDIT) $(BASE)
	$(call link,-ljansson)
$(LIBEXEC)/ambit-profile: $(B)/obj/launcher/profile/main.o $(PROFILE) $(BASE)
	$(call link,-lcyaml -lyaml -lseccomp -lcrypto)

# ---- kernel programs ------------------------------------------------------
BPF_OBJECTS := $(patsubst bpf/%.bpf.c,$(B)/bpf/%.bpf.o,$(wildcard bpf/*.bpf.c))
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -D__bpf__ -D__TARGET_ARCH_x86 \
	-Iinclude -Wall -Wextra -Wno-unused-parameter $(WERROR)
$(B)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h) include/ambit/kernel.h
	@mkdir -p $(@D)
	$(call say,BPF,$<)
	$(Q)$(CLANG) $(BPF_CFLAGS) -I/usr/include/$(MULTIARCH) -c -o $@ $<
$(B)/bpf/ambit.o: $(BPF_OBJECTS)
	$(Q)$(BPFTOOL) gen object $@ $^
$(B)/gen/ambit.skel.h: $(B)/bpf/ambit.o
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name ambit > $@
$(call objects,warden): | $(B)/gen/ambit.skel.h
$(B)/obj/launcher/warden/kernel.o: $(B)/gen/ambit.skel.h

# The interface file, as a C string, for GetInterfaceDescription.
$(B)/gen/interface.inc: launcher/ambit/io.ambit.Node.varlink
	@mkdir -p $(@D)
	$(Q)sed -e 's/["\\]/\\&/g' -e 's/.*/"&\\n"/' $< > $@
$(B)/obj/launcher/warden/calls.o: $(B)/gen/interface.inc

# ---- tests ----------------------------------------------------------------
include tests/tests.mk

# ---- the user's commands --------------------------------------------------
deps:
	@sh tests/lib/packages.sh $(BUILD_PACKAGES) $(TEST_PACKAGES)

demo:
	@sh tests/lib/packages.sh $(BUILD_PACKAGES) iproute2 nginx-light dnsmasq-base python3 openssl procps util-linux
	@$(MAKE) --no-print-directory all
	@bash tests/demo/run

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/ambit \
		$(DESTDIR)$(PREFIX)/share/ambit/profiles
	install -m 755 $(BIN)/ambit $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(filter $(LIBEXEC)/%,$(PROGRAMS)) $(DESTDIR)$(PREFIX)/libexec/ambit/
	install -m 644 profiles/*.yaml $(DESTDIR)$(PREFIX)/share/ambit/profiles/
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/local|$(PREFIX)|' docs/ambit.service \
		>$(DESTDIR)$(PREFIX)/lib/systemd/system/ambit.service
	chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/ambit.service
	for section in 1 5 8; do \
		install -d $(DESTDIR)$(PREFIX)/share/man/man$$section; \
		for page in docs/*.$$section; do \
			[ ! -e "$$page" ] || install -m 644 "$$page" \
				$(DESTDIR)$(PREFIX)/share/man/man$$section/; \
		done; \
	done

clean:
	rm -rf $(B)

-include $(shell find $(B)/obj $(B)/musl -name '*.d' 2>/dev/null)
