impl serde::Serialize for BatchAck {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.boot_id != 0 {
            len += 1;
        }
        if self.sequence != 0 {
            len += 1;
        }
        if self.repeated_batch {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("weir.v1.BatchAck", len)?;
        if self.boot_id != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("boot_id", ToString::to_string(&self.boot_id).as_str())?;
        }
        if self.sequence != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("sequence", ToString::to_string(&self.sequence).as_str())?;
        }
        if self.repeated_batch {
            struct_ser.serialize_field("repeated_batch", &self.repeated_batch)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for BatchAck {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "boot_id",
            "bootId",
            "sequence",
            "repeated_batch",
            "repeatedBatch",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            BootId,
            Sequence,
            RepeatedBatch,
            __SkipField__,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "bootId" | "boot_id" => Ok(GeneratedField::BootId),
                            "sequence" => Ok(GeneratedField::Sequence),
                            "repeatedBatch" | "repeated_batch" => Ok(GeneratedField::RepeatedBatch),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = BatchAck;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct weir.v1.BatchAck")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<BatchAck, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut boot_id__ = None;
                let mut sequence__ = None;
                let mut repeated_batch__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::BootId => {
                            if boot_id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("bootId"));
                            }
                            boot_id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Sequence => {
                            if sequence__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sequence"));
                            }
                            sequence__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::RepeatedBatch => {
                            if repeated_batch__.is_some() {
                                return Err(serde::de::Error::duplicate_field("repeatedBatch"));
                            }
                            repeated_batch__ = Some(map_.next_value()?);
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(BatchAck {
                    boot_id: boot_id__.unwrap_or_default(),
                    sequence: sequence__.unwrap_or_default(),
                    repeated_batch: repeated_batch__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("weir.v1.BatchAck", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for BatchHeader {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.node.is_empty() {
            len += 1;
        }
        if self.boot_id != 0 {
            len += 1;
        }
        if self.sequence != 0 {
            len += 1;
        }
        if !self.version.is_empty() {
            len += 1;
        }
        if !self.losses.is_empty() {
            len += 1;
        }
        if self.rows != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("weir.v1.BatchHeader", len)?;
        if !self.node.is_empty() {
            struct_ser.serialize_field("node", &self.node)?;
        }
        if self.boot_id != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("boot_id", ToString::to_string(&self.boot_id).as_str())?;
        }
        if self.sequence != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("sequence", ToString::to_string(&self.sequence).as_str())?;
        }
        if !self.version.is_empty() {
            struct_ser.serialize_field("version", &self.version)?;
        }
        if !self.losses.is_empty() {
            struct_ser.serialize_field("losses", &self.losses)?;
        }
        if self.rows != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("rows", ToString::to_string(&self.rows).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for BatchHeader {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "node",
            "boot_id",
            "bootId",
            "sequence",
            "version",
            "losses",
            "rows",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Node,
            BootId,
            Sequence,
            Version,
            Losses,
            Rows,
            __SkipField__,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "node" => Ok(GeneratedField::Node),
                            "bootId" | "boot_id" => Ok(GeneratedField::BootId),
                            "sequence" => Ok(GeneratedField::Sequence),
                            "version" => Ok(GeneratedField::Version),
                            "losses" => Ok(GeneratedField::Losses),
                            "rows" => Ok(GeneratedField::Rows),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = BatchHeader;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct weir.v1.BatchHeader")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<BatchHeader, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut node__ = None;
                let mut boot_id__ = None;
                let mut sequence__ = None;
                let mut version__ = None;
                let mut losses__ = None;
                let mut rows__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Node => {
                            if node__.is_some() {
                                return Err(serde::de::Error::duplicate_field("node"));
                            }
                            node__ = Some(map_.next_value()?);
                        }
                        GeneratedField::BootId => {
                            if boot_id__.is_some() {
                                return Err(serde::de::Error::duplicate_field("bootId"));
                            }
                            boot_id__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Sequence => {
                            if sequence__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sequence"));
                            }
                            sequence__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Version => {
                            if version__.is_some() {
                                return Err(serde::de::Error::duplicate_field("version"));
                            }
                            version__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Losses => {
                            if losses__.is_some() {
                                return Err(serde::de::Error::duplicate_field("losses"));
                            }
                            losses__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Rows => {
                            if rows__.is_some() {
                                return Err(serde::de::Error::duplicate_field("rows"));
                            }
                            rows__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(BatchHeader {
                    node: node__.unwrap_or_default(),
                    boot_id: boot_id__.unwrap_or_default(),
                    sequence: sequence__.unwrap_or_default(),
                    version: version__.unwrap_or_default(),
                    losses: losses__.unwrap_or_default(),
                    rows: rows__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("weir.v1.BatchHeader", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for FlowDetails {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.phase != 0 {
            len += 1;
        }
        if self.bytes != 0 {
            len += 1;
        }
        if self.packets != 0 {
            len += 1;
        }
        if self.conversation != 0 {
            len += 1;
        }
        if self.rtt_us != 0 {
            len += 1;
        }
        if self.retransmits != 0 {
            len += 1;
        }
        if self.vlan != 0 {
            len += 1;
        }
        if self.source_process.is_some() {
            len += 1;
        }
        if self.destination_process.is_some() {
            len += 1;
        }
        if self.kernel_drop.is_some() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("weir.v1.FlowDetails", len)?;
        if self.phase != 0 {
            let v = Phase::try_from(self.phase)
                .map_err(|_| serde::ser::Error::custom(format!("Invalid variant {}", self.phase)))?;
            struct_ser.serialize_field("phase", &v)?;
        }
        if self.bytes != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("bytes", ToString::to_string(&self.bytes).as_str())?;
        }
        if self.packets != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("packets", ToString::to_string(&self.packets).as_str())?;
        }
        if self.conversation != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("conversation", ToString::to_string(&self.conversation).as_str())?;
        }
        if self.rtt_us != 0 {
            struct_ser.serialize_field("rtt_us", &self.rtt_us)?;
        }
        if self.retransmits != 0 {
            struct_ser.serialize_field("retransmits", &self.retransmits)?;
        }
        if self.vlan != 0 {
            struct_ser.serialize_field("vlan", &self.vlan)?;
        }
        if let Some(v) = self.source_process.as_ref() {
            struct_ser.serialize_field("source_process", v)?;
        }
        if let Some(v) = self.destination_process.as_ref() {
            struct_ser.serialize_field("destination_process", v)?;
        }
        if let Some(v) = self.kernel_drop.as_ref() {
            struct_ser.serialize_field("kernel_drop", v)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for FlowDetails {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "phase",
            "bytes",
            "packets",
            "conversation",
            "rtt_us",
            "rttUs",
            "retransmits",
            "vlan",
            "source_process",
            "sourceProcess",
            "destination_process",
            "destinationProcess",
            "kernel_drop",
            "kernelDrop",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Phase,
            Bytes,
            Packets,
            Conversation,
            RttUs,
            Retransmits,
            Vlan,
            SourceProcess,
            DestinationProcess,
            KernelDrop,
            __SkipField__,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "phase" => Ok(GeneratedField::Phase),
                            "bytes" => Ok(GeneratedField::Bytes),
                            "packets" => Ok(GeneratedField::Packets),
                            "conversation" => Ok(GeneratedField::Conversation),
                            "rttUs" | "rtt_us" => Ok(GeneratedField::RttUs),
                            "retransmits" => Ok(GeneratedField::Retransmits),
                            "vlan" => Ok(GeneratedField::Vlan),
                            "sourceProcess" | "source_process" => Ok(GeneratedField::SourceProcess),
                            "destinationProcess" | "destination_process" => Ok(GeneratedField::DestinationProcess),
                            "kernelDrop" | "kernel_drop" => Ok(GeneratedField::KernelDrop),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = FlowDetails;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct weir.v1.FlowDetails")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<FlowDetails, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut phase__ = None;
                let mut bytes__ = None;
                let mut packets__ = None;
                let mut conversation__ = None;
                let mut rtt_us__ = None;
                let mut retransmits__ = None;
                let mut vlan__ = None;
                let mut source_process__ = None;
                let mut destination_process__ = None;
                let mut kernel_drop__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Phase => {
                            if phase__.is_some() {
                                return Err(serde::de::Error::duplicate_field("phase"));
                            }
                            phase__ = Some(map_.next_value::<Phase>()? as i32);
                        }
                        GeneratedField::Bytes => {
                            if bytes__.is_some() {
                                return Err(serde::de::Error::duplicate_field("bytes"));
                            }
                            bytes__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Packets => {
                            if packets__.is_some() {
                                return Err(serde::de::Error::duplicate_field("packets"));
                            }
                            packets__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Conversation => {
                            if conversation__.is_some() {
                                return Err(serde::de::Error::duplicate_field("conversation"));
                            }
                            conversation__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::RttUs => {
                            if rtt_us__.is_some() {
                                return Err(serde::de::Error::duplicate_field("rttUs"));
                            }
                            rtt_us__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Retransmits => {
                            if retransmits__.is_some() {
                                return Err(serde::de::Error::duplicate_field("retransmits"));
                            }
                            retransmits__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Vlan => {
                            if vlan__.is_some() {
                                return Err(serde::de::Error::duplicate_field("vlan"));
                            }
                            vlan__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::SourceProcess => {
                            if source_process__.is_some() {
                                return Err(serde::de::Error::duplicate_field("sourceProcess"));
                            }
                            source_process__ = map_.next_value()?;
                        }
                        GeneratedField::DestinationProcess => {
                            if destination_process__.is_some() {
                                return Err(serde::de::Error::duplicate_field("destinationProcess"));
                            }
                            destination_process__ = map_.next_value()?;
                        }
                        GeneratedField::KernelDrop => {
                            if kernel_drop__.is_some() {
                                return Err(serde::de::Error::duplicate_field("kernelDrop"));
                            }
                            kernel_drop__ = map_.next_value()?;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(FlowDetails {
                    phase: phase__.unwrap_or_default(),
                    bytes: bytes__.unwrap_or_default(),
                    packets: packets__.unwrap_or_default(),
                    conversation: conversation__.unwrap_or_default(),
                    rtt_us: rtt_us__.unwrap_or_default(),
                    retransmits: retransmits__.unwrap_or_default(),
                    vlan: vlan__.unwrap_or_default(),
                    source_process: source_process__,
                    destination_process: destination_process__,
                    kernel_drop: kernel_drop__,
                })
            }
        }
        deserializer.deserialize_struct("weir.v1.FlowDetails", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for GetFlowsOptions {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.details {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("weir.v1.GetFlowsOptions", len)?;
        if self.details {
            struct_ser.serialize_field("details", &self.details)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for GetFlowsOptions {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "details",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Details,
            __SkipField__,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "details" => Ok(GeneratedField::Details),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = GetFlowsOptions;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct weir.v1.GetFlowsOptions")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<GetFlowsOptions, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut details__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Details => {
                            if details__.is_some() {
                                return Err(serde::de::Error::duplicate_field("details"));
                            }
                            details__ = Some(map_.next_value()?);
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(GetFlowsOptions {
                    details: details__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("weir.v1.GetFlowsOptions", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for KernelDrop {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if !self.reason.is_empty() {
            len += 1;
        }
        if !self.function.is_empty() {
            len += 1;
        }
        if !self.netns.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("weir.v1.KernelDrop", len)?;
        if !self.reason.is_empty() {
            struct_ser.serialize_field("reason", &self.reason)?;
        }
        if !self.function.is_empty() {
            struct_ser.serialize_field("function", &self.function)?;
        }
        if !self.netns.is_empty() {
            struct_ser.serialize_field("netns", &self.netns)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for KernelDrop {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "reason",
            "function",
            "netns",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Reason,
            Function,
            Netns,
            __SkipField__,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "reason" => Ok(GeneratedField::Reason),
                            "function" => Ok(GeneratedField::Function),
                            "netns" => Ok(GeneratedField::Netns),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = KernelDrop;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct weir.v1.KernelDrop")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<KernelDrop, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut reason__ = None;
                let mut function__ = None;
                let mut netns__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Reason => {
                            if reason__.is_some() {
                                return Err(serde::de::Error::duplicate_field("reason"));
                            }
                            reason__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Function => {
                            if function__.is_some() {
                                return Err(serde::de::Error::duplicate_field("function"));
                            }
                            function__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Netns => {
                            if netns__.is_some() {
                                return Err(serde::de::Error::duplicate_field("netns"));
                            }
                            netns__ = Some(map_.next_value()?);
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(KernelDrop {
                    reason: reason__.unwrap_or_default(),
                    function: function__.unwrap_or_default(),
                    netns: netns__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("weir.v1.KernelDrop", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Loss {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.window.is_some() {
            len += 1;
        }
        if !self.stage.is_empty() {
            len += 1;
        }
        if !self.cause.is_empty() {
            len += 1;
        }
        if self.seen != 0 {
            len += 1;
        }
        if self.lost != 0 {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("weir.v1.Loss", len)?;
        if let Some(v) = self.window.as_ref() {
            struct_ser.serialize_field("window", v)?;
        }
        if !self.stage.is_empty() {
            struct_ser.serialize_field("stage", &self.stage)?;
        }
        if !self.cause.is_empty() {
            struct_ser.serialize_field("cause", &self.cause)?;
        }
        if self.seen != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("seen", ToString::to_string(&self.seen).as_str())?;
        }
        if self.lost != 0 {
            #[allow(clippy::needless_borrow)]
            #[allow(clippy::needless_borrows_for_generic_args)]
            struct_ser.serialize_field("lost", ToString::to_string(&self.lost).as_str())?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Loss {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "window",
            "stage",
            "cause",
            "seen",
            "lost",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Window,
            Stage,
            Cause,
            Seen,
            Lost,
            __SkipField__,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "window" => Ok(GeneratedField::Window),
                            "stage" => Ok(GeneratedField::Stage),
                            "cause" => Ok(GeneratedField::Cause),
                            "seen" => Ok(GeneratedField::Seen),
                            "lost" => Ok(GeneratedField::Lost),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Loss;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct weir.v1.Loss")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Loss, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut window__ = None;
                let mut stage__ = None;
                let mut cause__ = None;
                let mut seen__ = None;
                let mut lost__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Window => {
                            if window__.is_some() {
                                return Err(serde::de::Error::duplicate_field("window"));
                            }
                            window__ = map_.next_value()?;
                        }
                        GeneratedField::Stage => {
                            if stage__.is_some() {
                                return Err(serde::de::Error::duplicate_field("stage"));
                            }
                            stage__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Cause => {
                            if cause__.is_some() {
                                return Err(serde::de::Error::duplicate_field("cause"));
                            }
                            cause__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Seen => {
                            if seen__.is_some() {
                                return Err(serde::de::Error::duplicate_field("seen"));
                            }
                            seen__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Lost => {
                            if lost__.is_some() {
                                return Err(serde::de::Error::duplicate_field("lost"));
                            }
                            lost__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Loss {
                    window: window__,
                    stage: stage__.unwrap_or_default(),
                    cause: cause__.unwrap_or_default(),
                    seen: seen__.unwrap_or_default(),
                    lost: lost__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("weir.v1.Loss", FIELDS, GeneratedVisitor)
    }
}
impl serde::Serialize for Phase {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        let variant = match self {
            Self::Unknown => "PHASE_UNKNOWN",
            Self::New => "PHASE_NEW",
            Self::Update => "PHASE_UPDATE",
            Self::Close => "PHASE_CLOSE",
        };
        serializer.serialize_str(variant)
    }
}
impl<'de> serde::Deserialize<'de> for Phase {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "PHASE_UNKNOWN",
            "PHASE_NEW",
            "PHASE_UPDATE",
            "PHASE_CLOSE",
        ];

        struct GeneratedVisitor;

        impl serde::de::Visitor<'_> for GeneratedVisitor {
            type Value = Phase;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(formatter, "expected one of: {:?}", &FIELDS)
            }

            fn visit_i64<E>(self, v: i64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Signed(v), &self)
                    })
            }

            fn visit_u64<E>(self, v: u64) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                i32::try_from(v)
                    .ok()
                    .and_then(|x| x.try_into().ok())
                    .ok_or_else(|| {
                        serde::de::Error::invalid_value(serde::de::Unexpected::Unsigned(v), &self)
                    })
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Self::Value, E>
            where
                E: serde::de::Error,
            {
                match value {
                    "PHASE_UNKNOWN" => Ok(Phase::Unknown),
                    "PHASE_NEW" => Ok(Phase::New),
                    "PHASE_UPDATE" => Ok(Phase::Update),
                    "PHASE_CLOSE" => Ok(Phase::Close),
                    _ => Err(serde::de::Error::unknown_variant(value, FIELDS)),
                }
            }
        }
        deserializer.deserialize_any(GeneratedVisitor)
    }
}
impl serde::Serialize for Process {
    #[allow(deprecated)]
    fn serialize<S>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        use serde::ser::SerializeStruct;
        let mut len = 0;
        if self.pid != 0 {
            len += 1;
        }
        if self.uid != 0 {
            len += 1;
        }
        if !self.comm.is_empty() {
            len += 1;
        }
        if !self.exe.is_empty() {
            len += 1;
        }
        if !self.cgroup.is_empty() {
            len += 1;
        }
        if !self.unit.is_empty() {
            len += 1;
        }
        if !self.netns.is_empty() {
            len += 1;
        }
        let mut struct_ser = serializer.serialize_struct("weir.v1.Process", len)?;
        if self.pid != 0 {
            struct_ser.serialize_field("pid", &self.pid)?;
        }
        if self.uid != 0 {
            struct_ser.serialize_field("uid", &self.uid)?;
        }
        if !self.comm.is_empty() {
            struct_ser.serialize_field("comm", &self.comm)?;
        }
        if !self.exe.is_empty() {
            struct_ser.serialize_field("exe", &self.exe)?;
        }
        if !self.cgroup.is_empty() {
            struct_ser.serialize_field("cgroup", &self.cgroup)?;
        }
        if !self.unit.is_empty() {
            struct_ser.serialize_field("unit", &self.unit)?;
        }
        if !self.netns.is_empty() {
            struct_ser.serialize_field("netns", &self.netns)?;
        }
        struct_ser.end()
    }
}
impl<'de> serde::Deserialize<'de> for Process {
    #[allow(deprecated)]
    fn deserialize<D>(deserializer: D) -> std::result::Result<Self, D::Error>
    where
        D: serde::Deserializer<'de>,
    {
        const FIELDS: &[&str] = &[
            "pid",
            "uid",
            "comm",
            "exe",
            "cgroup",
            "unit",
            "netns",
        ];

        #[allow(clippy::enum_variant_names)]
        enum GeneratedField {
            Pid,
            Uid,
            Comm,
            Exe,
            Cgroup,
            Unit,
            Netns,
            __SkipField__,
        }
        impl<'de> serde::Deserialize<'de> for GeneratedField {
            fn deserialize<D>(deserializer: D) -> std::result::Result<GeneratedField, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct GeneratedVisitor;

                impl serde::de::Visitor<'_> for GeneratedVisitor {
                    type Value = GeneratedField;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        write!(formatter, "expected one of: {:?}", &FIELDS)
                    }

                    #[allow(unused_variables)]
                    fn visit_str<E>(self, value: &str) -> std::result::Result<GeneratedField, E>
                    where
                        E: serde::de::Error,
                    {
                        match value {
                            "pid" => Ok(GeneratedField::Pid),
                            "uid" => Ok(GeneratedField::Uid),
                            "comm" => Ok(GeneratedField::Comm),
                            "exe" => Ok(GeneratedField::Exe),
                            "cgroup" => Ok(GeneratedField::Cgroup),
                            "unit" => Ok(GeneratedField::Unit),
                            "netns" => Ok(GeneratedField::Netns),
                            _ => Ok(GeneratedField::__SkipField__),
                        }
                    }
                }
                deserializer.deserialize_identifier(GeneratedVisitor)
            }
        }
        struct GeneratedVisitor;
        impl<'de> serde::de::Visitor<'de> for GeneratedVisitor {
            type Value = Process;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("struct weir.v1.Process")
            }

            fn visit_map<V>(self, mut map_: V) -> std::result::Result<Process, V::Error>
                where
                    V: serde::de::MapAccess<'de>,
            {
                let mut pid__ = None;
                let mut uid__ = None;
                let mut comm__ = None;
                let mut exe__ = None;
                let mut cgroup__ = None;
                let mut unit__ = None;
                let mut netns__ = None;
                while let Some(k) = map_.next_key()? {
                    match k {
                        GeneratedField::Pid => {
                            if pid__.is_some() {
                                return Err(serde::de::Error::duplicate_field("pid"));
                            }
                            pid__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Uid => {
                            if uid__.is_some() {
                                return Err(serde::de::Error::duplicate_field("uid"));
                            }
                            uid__ = 
                                Some(map_.next_value::<::pbjson::private::NumberDeserialize<_>>()?.0)
                            ;
                        }
                        GeneratedField::Comm => {
                            if comm__.is_some() {
                                return Err(serde::de::Error::duplicate_field("comm"));
                            }
                            comm__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Exe => {
                            if exe__.is_some() {
                                return Err(serde::de::Error::duplicate_field("exe"));
                            }
                            exe__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Cgroup => {
                            if cgroup__.is_some() {
                                return Err(serde::de::Error::duplicate_field("cgroup"));
                            }
                            cgroup__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Unit => {
                            if unit__.is_some() {
                                return Err(serde::de::Error::duplicate_field("unit"));
                            }
                            unit__ = Some(map_.next_value()?);
                        }
                        GeneratedField::Netns => {
                            if netns__.is_some() {
                                return Err(serde::de::Error::duplicate_field("netns"));
                            }
                            netns__ = Some(map_.next_value()?);
                        }
                        GeneratedField::__SkipField__ => {
                            let _ = map_.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Process {
                    pid: pid__.unwrap_or_default(),
                    uid: uid__.unwrap_or_default(),
                    comm: comm__.unwrap_or_default(),
                    exe: exe__.unwrap_or_default(),
                    cgroup: cgroup__.unwrap_or_default(),
                    unit: unit__.unwrap_or_default(),
                    netns: netns__.unwrap_or_default(),
                })
            }
        }
        deserializer.deserialize_struct("weir.v1.Process", FIELDS, GeneratedVisitor)
    }
}
