"""Clinics drawn at random: patients, visits, photos and Consents, as FHIR JSON, as DICOM, and as a judge reads them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from sqlalchemy import Connection

from consent.site import Site
from consent.store.photos import save_photo
from dicom_bridge.query.index import save_instance
from dicom_bridge.query.orthanc_ids import orthanc_ids
from fhir_mapping.projections.photo import area_of, photo_facts, procedure_of
from fhir_mapping.projections.written import Setting
from fhir_mapping.store.record import RecordStore
from tests.doors.dicom import data_set
from tests.fhir.clinic import context, document_of, region
from tests.judges import worlds as build
from tests.judges.plain import PlainJudge

BASE = "http://127.0.0.1:20500/fhir"
NOW = datetime(2026, 6, 15, 9, tzinfo=UTC)
AREAS = {name: build.REGION[name].rpartition("|")[2] for name in ("face", "neck", "hand")}
SNOMED = "http://snomed.info/sct"
VL_PHOTOGRAPHIC, DERMOSCOPY = "1.2.840.10008.5.1.4.1.1.77.1.4", "1.2.840.10008.5.1.4.1.1.77.1.7"
NAMES = (
    "Müller^Änne",
    "Muller^Anne",
    "Papadopoulou^Eleni^M",
    "Doe",
    "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "Ó[x]^?",
)
DESCRIPTIONS = ("Botulinum toxin", "Laser 100%", "Peel_1", "laser 100%", "")
ACCOUNTS = {
    "clinician": build.account("TREAT", reference="Practitioner/clinician"),
    "doctor": build.account("PORTFOLIO", "TREAT", reference="Practitioner/doctor"),
    "marketing": build.account("PORTFOLIO", reference="Practitioner/marketing"),
    "anna": build.account("PATRQT", reference="Patient/p0", confined_to=["p0"], own_patient="p0"),
}


@dataclass(slots=True)
class Shot:
    """One photo, as the test knows it."""

    name: str
    patient: str
    visit: str
    area: str
    attributes: dict[str, Any]
    """By keyword; what the second matcher reads."""

    number: int = 0

    @property
    def sop(self) -> str:
        """SOP Instance UID."""
        return str(self.attributes["SOPInstanceUID"])


@dataclass(slots=True)
class World:
    """A clinic."""

    random: Random
    patients: dict[str, str] = field(default_factory=dict)
    """FHIR id -> name in DICOM."""

    visits: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    """Encounter id -> patient and time."""

    shots: list[Shot] = field(default_factory=list)
    consents: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def draw(cls, seed: int) -> World:
        """A clinic of four patients with a few visits each."""
        made = cls(Random(seed))
        random = made.random
        for number in range(4):
            patient = f"p{number}"
            made.patients[patient] = random.choice(NAMES)
            for _ in range(random.randrange(1, 4)):
                visit = f"v{seed}-{len(made.visits)}"
                day = datetime(2026, random.choice([3, 4, 5]), random.randrange(1, 28), 9, tzinfo=UTC)
                made.visits[visit] = (patient, day)
                shared = made._visit(visit)
                for _ in range(random.randrange(1, 5)):
                    made.shots.append(made._shot(visit, shared))
        for number in range(random.randrange(8)):
            made.consents.append(made._consent(f"c{number}"))
        return made

    def _visit(self, visit: str) -> dict[str, Any]:
        random, (patient, day) = self.random, self.visits[visit]
        return {
            "PatientName": self.patients[patient],
            "PatientID": f"PID-{patient}",
            "IssuerOfPatientID": random.choice(["", "clinic"]),
            "PatientBirthDate": random.choice(["19800101", "19791231", ""]),
            "PatientSex": random.choice(["F", "M", "O", ""]),
            "StudyInstanceUID": f"2.25.5{int(visit[1:].replace('-', '0'))}",
            "StudyDate": f"{day:%Y%m%d}",
            "StudyTime": random.choice(["10", "1015", "101530", "101530.25", ""]),
            "AccessionNumber": f"A{visit[-3:]}",
            "ReferringPhysicianName": random.choice(NAMES),
            "StudyID": random.choice(["S1", "S2", ""]),
            "StudyDescription": random.choice(DESCRIPTIONS),
        }

    def _shot(self, visit: str, shared: dict[str, Any]) -> Shot:
        random, number = self.random, len(self.shots)
        patient, day = self.visits[visit]
        area = random.choice(list(AREAS))
        modality = random.choice(["XC", "XC", "DMS"])
        side = random.choice(["L", "R", ""])
        requests = [
            {"ScheduledProcedureStepID": f"s{random.randrange(3)}", "RequestedProcedureID": f"r{random.randrange(3)}"}
            for _ in range(random.randrange(3))
        ]
        own = {
            "SeriesInstanceUID": f"{shared['StudyInstanceUID']}.{sorted(AREAS).index(area) + 1}{len(modality)}",
            "Modality": modality,
            "SeriesNumber": str(random.randrange(1, 4)),
            "SeriesDescription": f"{area}, frontal",
            "BodyPartExamined": area.upper(),
            "ProtocolName": random.choice(["Before", "After"]),
            "Laterality": side,
            "PerformedProcedureStepStartDate": f"{day:%Y%m%d}",
            "PerformedProcedureStepStartTime": random.choice(["0930", "104500"]),
            "RequestAttributesSequence": requests,
            "SOPInstanceUID": f"{shared['StudyInstanceUID']}.9{number}",
            "SOPClassUID": VL_PHOTOGRAPHIC if modality == "XC" else DERMOSCOPY,
            "InstanceNumber": str(number),
            "ContentDate": f"{day:%Y%m%d}",
            "AcquisitionDateTime": f"{day:%Y%m%d}1{random.randrange(10)}{random.choice(['1500', '15', ''])}+0300",
            "ImageLaterality": side,
            "ImageType": [random.choice(["ORIGINAL", "DERIVED"]), "PRIMARY"],
            "ImageComments": random.choice(["good", "blurred, repeat", ""]),
            "AnatomicRegionSequence": [
                {"CodeValue": AREAS[area], "CodingSchemeDesignator": "SCT", "CodeMeaning": area.capitalize()}
            ],
        }
        return Shot(f"{visit}-f{number}", patient, visit, area, shared | own)

    def _consent(self, name: str) -> dict[str, Any]:
        random = self.random
        patient = random.choice(list(self.patients))
        of_her = [shot for shot in self.shots if shot.patient == patient]
        more: dict[str, Any] = {}
        regions = None
        match random.randrange(4):
            case 0:
                more["data"] = [build.data(f"DocumentReference/{random.choice(of_her).name}")]
            case 1:
                regions = [build.region(random.choice(list(AREAS)))]
        purpose = random.choice(["TREAT", "PORTFOLIO", "PORTFOLIO", "PATRQT"])
        effect = random.choice(["permit", "permit", "deny"])
        return build.consent(
            name,
            build.provision(effect, purpose, regions=regions, **more),
            patient={"reference": f"Patient/{patient}"},
            performer=[{"reference": f"Patient/{patient}"}],
            dateTime=f"2026-05-{random.randrange(10, 29)}T10:00:00+03:00",
            status=random.choice(["active", "active", "active", "inactive"]),
        )

    # --- as the judge reads it ---------------------------------------------------------------------------------------

    def judge(self) -> PlainJudge:
        """The independent model of the decision."""
        photos = {shot.name: self._photo(shot) for shot in self.shots}
        return PlainJudge(
            {
                "site": build.site(),
                "now": NOW.isoformat(),
                "patients": {name: build.patient() for name in self.patients},
                "merged": [],
                "exists": [f"DocumentReference/{name}" for name in photos] + ["Organization/clinic"],
                "members": [],
                "part_of": {},
                "consents": [build.written(body) for body in self.consents],
                "photos": photos,
                "requests": [],
            }
        )

    def _photo(self, shot: Shot) -> dict[str, Any]:
        return build.photo(
            shot.name,
            patients=[shot.patient],
            known_since={shot.patient: self._taken(shot)},
            taken=self._taken(shot),
            document=f"DocumentReference/{shot.name}",
            imaging_study=f"ImagingStudy/{shot.visit}",
            encounter=f"Encounter/{shot.visit}",
            links=[f"Encounter/{shot.visit}"],
            author="Practitioner/d",
            photographer=None,
            regions=[build.shown(shot.area)],
        )

    def _taken(self, shot: Shot) -> str:
        return self.visits[shot.visit][1].isoformat()

    # --- as the product keeps it -------------------------------------------------------------------------------------

    def save(self, connection: Connection, record: RecordStore, site: Site) -> None:
        """Write everything."""
        for resource in self._resources():
            record.update(connection, resource["resourceType"], resource["id"], resource, source="test")
        for shot in self.shots:
            self._save(connection, record, site, shot)
        for body in self.consents:
            record.update(connection, "Consent", body["id"], body, source="test")

    def _resources(self) -> list[dict[str, Any]]:
        made: list[dict[str, Any]] = [
            {"resourceType": "Organization", "id": "clinic", "name": "Clinic"},
            {"resourceType": "Practitioner", "id": "d", "name": [{"family": "Doe"}]},
        ]
        for patient in self.patients:
            made.append({"resourceType": "Patient", "id": patient, "birthDate": "1990-03-03"})
        for visit, (patient, day) in self.visits.items():
            made.append(
                {
                    "resourceType": "Encounter",
                    "id": visit,
                    "status": "finished",
                    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
                    "subject": {"reference": f"Patient/{patient}"},
                    "period": {"start": f"{day:%Y-%m-%d}"},
                }
            )
            made.append(self._study(visit, patient, day))
        return made

    def _study(self, visit: str, patient: str, day: datetime) -> dict[str, Any]:
        shots = [shot for shot in self.shots if shot.visit == visit]
        series: dict[str, list[Shot]] = {}
        for shot in shots:
            series.setdefault(shot.attributes["SeriesInstanceUID"], []).append(shot)
        photography = {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "XC"}
        return {
            "resourceType": "ImagingStudy",
            "id": visit,
            "status": "available",
            "subject": {"reference": f"Patient/{patient}"},
            "encounter": {"reference": f"Encounter/{visit}"},
            "started": day.isoformat(),
            "numberOfSeries": len(series),
            "numberOfInstances": len(shots),
            "series": [
                {
                    "uid": uid,
                    "modality": photography,
                    "numberOfInstances": len(own),
                    "instance": [
                        {
                            "uid": shot.sop,
                            "sopClass": {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{VL_PHOTOGRAPHIC}"},
                        }
                        for shot in own
                    ],
                }
                for uid, own in series.items()
            ],
        }

    def _save(self, connection: Connection, record: RecordStore, site: Site, shot: Shot) -> None:
        taken = self.visits[shot.visit][1]
        document = document_of(shot.name, shot.patient, shot.visit) | {
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{shot.sop}"}],
            "extension": [region({"system": SNOMED, "code": AREAS[shot.area]})],
            "context": context(shot.visit, taken.isoformat()),
        }
        record.create(connection, "DocumentReference", document, source="pipeline", id=shot.name)
        facts = photo_facts(connection, Setting(site, BASE), shot.name)
        facts = replace(facts, imaging_study=f"ImagingStudy/{shot.visit}", known_since={shot.patient: taken})
        attributes = shot.attributes
        uids = [attributes[name] for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]
        shot.number = save_photo(
            connection,
            facts,
            study_uid=uids[0],
            series_uid=uids[1],
            orthanc_id=orthanc_ids(attributes["PatientID"], *uids).instance,
            state="linked",
            area=area_of(facts),
            view="frontal",
            procedure=procedure_of(facts),
        )
        save_instance(connection, shot.number, shot.sop, data_set(attributes))
