"""Random records: patients, visits, treatments, products in every shape, settings, judgements, photos; and changes."""

from __future__ import annotations

from random import Random
from typing import Any

Json = dict[str, Any]

SNOMED = "http://snomed.info/sct"
FACE = "89545001"
FOREHEAD = "68698007"
HAND = "85562004"
REGIONS = (FACE, FOREHEAD, HAND, "1")
TREATMENTS = "urn:photospine:treatment"
PRODUCTS = "urn:photospine:product"
SETTINGS = "urn:photospine:setting"
VIEWS = "urn:photospine:view"
OUTCOMES = "urn:photospine:characteristic"
LOTS = ("L1", "L-2", "lot 3")
KINDS = ("toxin", "laser", "Peel by hand")
THINGS = ("botox", "filler", "cream")
PEOPLE = ("p0", "p1", "p2", "p3")
DOCTORS = ("d0", "d1")
DAYS = ("2026-01-31T23:30:00+02:00", "2026-02-01", "2026-02-10T10:00:00+02:00", "2026-03", "2025-12-24T08:00:00Z")
GRADES = ("very-much-improved", "improved", "no-change", "worse")
_ROLE = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


def reference(target: str) -> Json:
    return {"reference": target}


class Drawing:
    """Draws resources; the caller keeps them."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def some(self, values: Any, chance: float = 0.5) -> Any:
        """One of them, or None."""
        return self.random.choice(values) if values and self.random.random() < chance else None

    def concept(self, system: str, codes: tuple[str, ...]) -> Json:
        """A code in a system, in another one, or a word without a code."""
        code, kind = self.random.choice(codes), self.random.random()
        if kind < 0.2:
            return {"text": code}
        coding = {"system": system if kind < 0.8 else "urn:elsewhere", "code": code.replace(" ", "-")}
        return {"coding": [coding], **({"text": f"The {code}"} if kind < 0.5 else {})}

    def foundation(self) -> list[Json]:
        """People, drugs and devices."""
        made: list[Json] = [{"resourceType": "Organization", "id": "clinic", "name": "Clinic"}]
        made += [{"resourceType": "Practitioner", "id": each} for each in DOCTORS]
        for each in PEOPLE:
            birth = self.some(["1980-01-01", "1990-05"], 0.9)
            made.append({"resourceType": "Patient", "id": each} | ({"birthDate": birth} if birth else {}))
        made += [self.medication(f"m{number}", number) for number in range(4)]
        made += [self.device(f"v{number}") for number in range(3)]
        for each in PEOPLE:
            made += [self.visit(f"e{each}{number}", each) for number in range(2)]
            made.append(self.plan(each))
        return made

    def plan(self, patient: str) -> Json:
        return {
            "resourceType": "CarePlan",
            "id": f"c{patient}",
            "status": "active",
            "intent": "plan",
            "subject": reference(f"Patient/{patient}"),
        }

    def visit(self, name: str, patient: str) -> Json:
        return {
            "resourceType": "Encounter",
            "id": name,
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": reference(f"Patient/{patient}"),
        }

    def medication(self, name: str, number: int) -> Json:
        made: Json = {"resourceType": "Medication", "id": name, "code": self.concept(PRODUCTS, THINGS)}
        if self.random.random() < 0.8:
            made["batch"] = {"lotNumber": self.random.choice(LOTS)}
        if number and self.random.random() < 0.3:
            made["ingredient"] = [{"itemReference": reference(f"Medication/m{self.random.randrange(number)}")}]
        return made

    def device(self, name: str) -> Json:
        made: Json = {"resourceType": "Device", "id": name}
        shape = self.random.random()
        if shape < 0.3:
            made["udiCarrier"] = [{"deviceIdentifier": "0950400", "carrierHRF": "(01)09504000059118(10)L-2"}]
        elif shape < 0.6:
            made |= {"lotNumber": "L1", "deviceName": [{"name": "Filler pen", "type": "user-friendly-name"}]}
        else:
            made["type"] = self.concept(PRODUCTS, THINGS)
        return made

    def procedure(self, name: str, patient: str, visit: str, others: list[str]) -> Json:
        made: Json = {
            "resourceType": "Procedure",
            "id": name,
            "status": self.random.choice(["completed", "completed", "completed", "not-done"]),
            "code": self.concept(TREATMENTS, KINDS),
            "subject": reference(f"Patient/{patient}"),
            "encounter": reference(f"Encounter/{visit}"),
            "performer": [{"actor": reference(f"Practitioner/{self.random.choice(DOCTORS)}")}],
        }
        if number := self.some([1, 2, 3]):
            made["extension"] = [{"url": "urn:photospine:session", "valuePositiveInt": number}]
        if self.random.random() < 0.2:
            made["focalDevice"] = [{"manipulated": reference(f"Device/v{self.random.randrange(3)}")}]
        if self.random.random() < 0.2:
            made["usedReference"] = [reference(f"Device/v{self.random.randrange(3)}")]
        if self.random.random() < 0.2:
            made["basedOn"] = [reference(f"CarePlan/c{patient}")]
        if course := self.some(others, 0.2):
            made["partOf"] = [reference(course)]
        return made

    def use(self, name: str, patient: str, visit: str, procedures: list[str]) -> Json:
        kind = self.random.choice(["MedicationAdministration", "MedicationDispense"])
        made: Json = {
            "resourceType": kind,
            "id": name,
            "status": self.random.choice(["completed", "completed", "completed", "entered-in-error"]),
            "subject": reference(f"Patient/{patient}"),
            "context": reference(f"Encounter/{visit}"),
        }
        if kind == "MedicationAdministration":
            made["effectiveDateTime"] = "2026-02-10"
        if part := self.some(procedures, 0.7):
            made["partOf"] = [reference(part)]
        shape = self.random.random()
        if shape < 0.5:
            made["medicationReference"] = reference(f"Medication/m{self.random.randrange(4)}")
        elif shape < 0.75:
            made["contained"] = [self.medication("in", 0)]
            made["medicationReference"] = reference("#in")
        else:
            made["medicationCodeableConcept"] = self.concept(PRODUCTS, THINGS)
        return made

    def observation(self, name: str, patient: str, parts: list[str], documents: list[str]) -> Json:
        made: Json = {
            "resourceType": "Observation",
            "id": name,
            "status": self.random.choice(["final", "final", "final", "cancelled"]),
            "subject": reference(f"Patient/{patient}"),
        }
        shape = self.random.random()
        if documents and shape < 0.4:
            made["code"] = {"coding": [{"system": OUTCOMES, "code": self.random.choice(["scar", "hair-density"])}]}
            made["valueCodeableConcept"] = {"coding": [{"code": self.random.choice(GRADES)}]}
            judge = self.random.choice(["Patient/p0", "Practitioner/d0", None])
            if judge is not None:
                made["performer"] = [reference(judge)]
            made["derivedFrom"] = [reference(each) for each in self.random.sample(documents, min(2, len(documents)))]
            return made
        if part := self.some(parts, 0.9):
            made["partOf"] = [reference(part)]
        if shape < 0.6:
            made["code"] = {"coding": [{"system": "urn:x", "code": "lot-number"}]}
            made["valueString"] = self.random.choice(LOTS)
            return made
        amount = self.random.choice([5, 5.5, 7.25, 12])
        unit = self.random.choice(["J/cm2", "ms"])
        quantity = {"value": amount, "system": "http://unitsofmeasure.org", "code": unit}
        made["code"] = {"coding": [{"system": SETTINGS, "code": "device-settings"}]}
        made["component"] = [
            {"code": {"coding": [{"system": SETTINGS, "code": self.random.choice(["fluence", "pulse"])}]}}
            | {"valueQuantity": quantity}
        ]
        return made

    def document(self, name: str, patient: str, visit: str, related: list[str]) -> Json:
        made: Json = {
            "resourceType": "DocumentReference",
            "id": name,
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid_of(name)}"}],
            "status": "current",
            "subject": reference(f"Patient/{patient}"),
            "custodian": reference("Organization/clinic"),
            "content": [{"attachment": {"contentType": "image/jpeg", "url": f"/photos/{name}"}}],
            "context": {"encounter": [reference(f"Encounter/{visit}")]},
        }
        extensions = [self._region() for _ in range(self.random.randrange(3))]
        if view := self.some(["frontal", "oblique"], 0.8):
            extensions.append(
                {"url": "urn:photospine:view", "valueCodeableConcept": {"coding": [{"system": VIEWS, "code": view}]}}
            )
        if face := self.some(["smile", "rest"]):
            extensions.append({"url": "urn:photospine:expression", "valueCodeableConcept": {"text": face}})
        if number := self.some([1, 2], 0.3):
            extensions.append({"url": "urn:photospine:session", "valuePositiveInt": number})
        if extensions:
            made["extension"] = extensions
        if taken := self.some(DAYS, 0.85):
            made["context"]["period"] = {"start": taken}
        if named := [each for each in related if self.random.random() < 0.5]:
            made["context"]["related"] = [reference(each) for each in named]
        if author := self.some(DOCTORS):
            made["author"] = [reference(f"Practitioner/{author}")]
        return made

    def provenance(self, name: str, document: str) -> Json:
        who = self.random.choice(DOCTORS)
        return {
            "resourceType": "Provenance",
            "id": name,
            "target": [reference(document)],
            "recorded": "2026-02-10T10:00:00Z",
            "agent": [{"type": {"coding": [{"system": _ROLE, "code": self.random.choice(["performer", "author"])}]}}
                      | {"who": reference(f"Practitioner/{who}")}],
        }  # fmt: skip

    def _region(self) -> Json:
        code = {"coding": [{"system": SNOMED, "code": self.random.choice(REGIONS)}]}
        parts: list[Json] = [{"url": "code", "valueCodeableConcept": code}]
        if side := self.some(["R", "L", "B"], 0.7):
            parts.append({"url": "laterality", "valueCode": side})
        return {"url": "urn:photospine:photo-region", "extension": parts}


def uid_of(name: str) -> str:
    """A SOP Instance UID for a photo's name."""
    return f"2.25.{int(name.encode().hex(), 16)}"
