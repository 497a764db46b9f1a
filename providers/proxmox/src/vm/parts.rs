//! The attributes of a machine and the API's parameters, one table for both directions.

use crate::table::{Parts as _, parts, words};
use crate::vm::schema::{
    Agent, AmdSev, AudioDevice, Cpu, Disk, EfiDisk, HostPci, Initialization, Memory, Numa,
    OperatingSystem, Rng, Smbios, Speed, TpmState, Usb, Vga, Virtiofs, Vm, Watchdog,
};

parts! {
    Vm {
        acpi "acpi" = true,
        bios "bios" = "seabios",
        hook_script_file_id "hookscript",
        hotplug "hotplug",
        keyboard_layout "keyboard" => "en-us",
        kvm_arguments "args",
        machine "machine",
        name "name",
        on_boot "onboot" => false,
        protection "protection" = false,
        scsi_hardware "scsihw" = "lsi",
        tablet_device "tablet" = true,
    }
    Cpu {
        affinity "affinity",
        architecture "arch",
        cores "cores" = 1,
        hotplugged "vcpus" = 0,
        limit "cpulimit" = 0.0,
        numa "numa" = false,
        sockets "sockets" = 1,
        units "cpuunits" = 0,
    }
    Memory {
        dedicated "memory" => 512,
        floating "balloon" => 0,
        hugepages "hugepages",
        keep_hugepages "keephugepages" = false,
    }
    OperatingSystem { r#type "ostype" => "other" }
    Agent alone "enabled" {
        enabled "enabled" => false,
        trim "fstrim_cloned_disks" => false,
        r#type "type" => "virtio",
    }
    AmdSev alone "type" {
        r#type "type" => "std",
        allow_smt "allow-smt" => true,
        kernel_hashes "kernel-hashes" = false,
        no_debug "no-debug" = false,
        no_key_sharing "no-key-sharing" = false,
    }
    AudioDevice { device "device", driver "driver" => "spice" }
    Disk alone "file" {
        aio "aio" => "io_uring",
        backup "backup" = true,
        cache "cache" = "none",
        discard "discard" = "ignore",
        iothread "iothread" = false,
        queues "queues" = 0,
        replicate "replicate" = true,
        serial "serial",
        ssd "ssd" = false,
    }
    Speed {
        iops_read "iops_rd" = 0,
        iops_read_burstable "iops_rd_max" = 0,
        iops_write "iops_wr" = 0,
        iops_write_burstable "iops_wr_max" = 0,
        read "mbps_rd" = 0,
        read_burstable "mbps_rd_max" = 0,
        write "mbps_wr" = 0,
        write_burstable "mbps_wr_max" = 0,
    }
    EfiDisk alone "file" {
        file_format "format",
        r#type "efitype" => "2m",
        pre_enrolled_keys "pre-enrolled-keys" => false,
    }
    TpmState alone "file" { version "version" => "v1.2" }
    HostPci alone "host" {
        id "host",
        mapping "mapping",
        mdev "mdev",
        pcie "pcie" => false,
        rom_file "romfile",
        rombar "rombar" => true,
        xvga "x-vga" => false,
    }
    Initialization {
        meta_data_file_id "meta",
        network_data_file_id "network",
        user_data_file_id "user",
        vendor_data_file_id "vendor",
    }
    Numa { cpus "cpus", hostnodes "hostnodes", memory "memory", policy "policy" => "preferred" }
    Rng alone "source" { source "source", max_bytes "max_bytes", period "period" }
    Smbios {
        family "family",
        manufacturer "manufacturer",
        product "product",
        serial "serial",
        sku "sku",
        uuid "uuid",
        version "version",
    }
    Usb alone "host" { host "host", mapping "mapping", usb3 "usb3" => false }
    Vga alone "type" { clipboard "clipboard", memory "memory" => 16, r#type "type" => "std" }
    Virtiofs alone "dirid" {
        mapping "dirid",
        cache "cache" = "auto",
        direct_io "direct-io" = false,
        expose_acl "expose-acl" = false,
        expose_xattr "expose-xattr" = false,
    }
    Watchdog alone "model" { model "model" => "i6300esb", action "action" = "none" }
}

impl Smbios {
    /// The texts, all but the identifier, which is none.
    fn texts(&mut self) -> [&mut String; 6] {
        [
            &mut self.family,
            &mut self.manufacturer,
            &mut self.product,
            &mut self.serial,
            &mut self.sku,
            &mut self.version,
        ]
    }

    /// Base64 says whatever people write, blanks and commas included.
    pub(crate) fn setting(&self) -> String {
        let mut coded = self.clone();
        for text in coded.texts() {
            *text = crate::property::base64(text);
        }
        match coded.encode() {
            parts if parts.is_empty() => parts,
            parts => format!("base64=1,{parts}"),
        }
    }

    pub(crate) fn found(setting: &str) -> Smbios {
        let mut found = Smbios::default().decode(setting);
        if crate::property::Properties::parse(setting, "").flag("base64") == Some(true) {
            for text in found.texts() {
                *text = crate::property::from_base64(text).unwrap_or_default();
            }
        }
        found
    }
}

/// Processor type and flags: `host`, or `cputype=host,flags=+aes;-pcid`.
pub(crate) fn processor(cpu: &Cpu) -> String {
    match cpu.flags.as_slice() {
        [] => cpu.r#type.clone(),
        flags => format!("cputype={},flags={}", cpu.r#type, flags.join(";")),
    }
}

pub(crate) fn processor_found(setting: &str) -> (String, Vec<String>) {
    let read = crate::property::Properties::parse(setting, "cputype");
    let part = |key| read.get(key).unwrap_or_default();
    (part("cputype").to_owned(), words(part("flags"), &[';']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_written_as_the_api_reads_them() {
        let device = HostPci {
            device: "hostpci0".into(),
            mapping: "gpu".into(),
            pcie: true,
            xvga: true,
            ..HostPci::default()
        };
        assert_eq!(device.encode(), "mapping=gpu,pcie=1,rombar=0,x-vga=1");
        let raw = HostPci::default().decode("0000:01:00.0,pcie=1");
        assert_eq!(
            (raw.id.as_str(), raw.pcie, raw.rombar),
            ("0000:01:00.0", true, true)
        );
        let sev = AmdSev {
            r#type: "snp".into(),
            no_debug: true,
            ..AmdSev::default()
        };
        assert_eq!(sev.encode(), "type=snp,allow-smt=0,no-debug=1");
        let shared = Virtiofs {
            mapping: "media".into(),
            cache: "auto".into(),
            expose_acl: true,
            ..Virtiofs::default()
        };
        assert_eq!(shared.encode(), "dirid=media,expose-acl=1");
        assert_eq!(Virtiofs::default().decode("media,expose-acl=1"), shared);
    }

    #[test]
    fn machine_texts_go_there_and_back_in_base64() {
        let smbios = Smbios {
            family: "home, lab".into(),
            sku: "7".into(),
            uuid: "0f3e1a5e-0000-4000-8000-000000000000".into(),
            ..Smbios::default()
        };
        let setting = smbios.setting();
        assert_eq!(
            setting,
            "base64=1,family=aG9tZSwgbGFi,sku=Nw==,uuid=0f3e1a5e-0000-4000-8000-000000000000"
        );
        assert_eq!(Smbios::found(&setting), smbios);
        assert_eq!(Smbios::found("family=plain").family, "plain");
    }

    #[test]
    fn processor_flags_follow_the_type() {
        let cpu = Cpu {
            r#type: "host".into(),
            flags: vec!["+aes".into(), "-pcid".into()],
            ..Cpu::default()
        };
        assert_eq!(processor(&cpu), "cputype=host,flags=+aes;-pcid");
        assert_eq!(
            processor_found("host,flags=+aes;-pcid"),
            (cpu.r#type, cpu.flags)
        );
    }
}
