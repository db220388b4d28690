//! Carriers of tags: a treatment gives them whole characters of its pseudonyms, so that they show more
//! than a symbol.

use lockgate_transforms::Misfit;
use lockgate_transforms::marks::tag::{Tag, TagForm, TagRoom, TagSpace};
use lockgate_transforms::treatments::hmac::Encoding;

use super::carrier::CarrierSpec;

/// What a scheme says of the characters of identifiers, whose kind says which they are.
const OF_IDENTIFIERS: Encoding = Encoding::Hex;

impl CarrierSpec {
    /// A carrier of tags in what a treatment gives to the mark.
    pub(crate) fn of_room(room: TagRoom) -> Self {
        let (length, encoding, id) = match room.form {
            TagForm::End { length, encoding } => (length, encoding, None),
            TagForm::Id(kind) => (kind.length(), OF_IDENTIFIERS, Some(kind)),
        };
        Self::Tag {
            domain: room.domain,
            characters: room.characters,
            length,
            encoding,
            id,
            sentinels: Vec::new(),
        }
    }

    /// The tags, if it is a carrier of tags.
    pub(super) fn tag(&self) -> Option<Result<Tag, Misfit>> {
        let Self::Tag {
            domain,
            characters,
            length,
            encoding,
            id,
            sentinels,
        } = self
        else {
            return None;
        };
        let form = match id {
            None => TagForm::End {
                length: *length,
                encoding: *encoding,
            },
            Some(kind) if *length == kind.length() && *encoding == OF_IDENTIFIERS => {
                TagForm::Id(*kind)
            }
            Some(_) => {
                let what = "tags of identifiers have another length or other characters";
                return Some(Err(Misfit::of_parameter("tag", what)));
            }
        };
        let room = TagRoom {
            domain: domain.clone(),
            characters: *characters,
            form,
        };
        Some(Tag::new(&room, sentinels))
    }

    /// How many tags there are, if it is a carrier of tags.
    pub(crate) fn tag_space(&self) -> Option<TagSpace> {
        Some(self.tag()?.ok()?.space())
    }
}
