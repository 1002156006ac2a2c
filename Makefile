# SPDX-License-Identifier: LGPL-2.1-only
TOP = .
include $(TOP)/Rules.mk

SUBDIRS = tools/libxl tools/libxlu tools/xl tools/backup docs/man docs/schemas

.PHONY: all install check qemu-check lab-check lab-long bench fuzz dist clean \
        distclean $(SUBDIRS)

all: $(SUBDIRS)

tools/libxlu: tools/libxl
tools/xl: tools/libxlu
tools/backup: tools/xl

$(SUBDIRS):
	$(MAKE) -C $@ all

install: all
	set -e; for d in $(SUBDIRS); do $(MAKE) -C $$d install; done

# Fast tests, no Xen: units, then a real QEMU.
check: all
	tests/run-tiers unit qemu

qemu-check: all
	tests/run-tiers qemu

# On a real Xen host under emulation.
lab-check: all
	tests/run-tiers lab

lab-long: all
	tests/run-tiers lab-long

bench: all
	tests/bench/run

# A minute of libFuzzer for each door; wants clang.
fuzz: all
	tests/fuzz/run

dist:
	git archive --prefix=xen-snapshot-$(PACKAGE_VERSION)/ \
	    -o xen-snapshot-$(PACKAGE_VERSION).tar.gz HEAD

clean:
	set -e; for d in $(SUBDIRS) tests/unit tests/qemu tests/bench tests/fuzz; do \
	    if [ -f $$d/Makefile ]; then $(MAKE) -C $$d clean; fi; done

distclean: clean
	rm -rf config.mk config.log config.status autom4te.cache
