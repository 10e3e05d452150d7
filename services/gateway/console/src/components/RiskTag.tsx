import { useTranslation } from "react-i18next";
import type { Entitlement } from "@/api/client";
import { Tag, type Tone } from "./Tag";

const tones: Record<NonNullable<Entitlement["risk"]>, Tone> = {
  ENTITLEMENT_RISK_UNSPECIFIED: "none",
  ENTITLEMENT_RISK_LOW: "none",
  ENTITLEMENT_RISK_MEDIUM: "accent",
  ENTITLEMENT_RISK_HIGH: "warn",
  ENTITLEMENT_RISK_CRITICAL: "bad",
};

/** How much harm can be done with an entitlement; nothing if nobody has judged it. */
export function RiskTag({ risk = "ENTITLEMENT_RISK_UNSPECIFIED" }: { risk?: Entitlement["risk"] }) {
  const { t } = useTranslation();
  if (risk === "ENTITLEMENT_RISK_UNSPECIFIED") return null;
  return <Tag tone={tones[risk]}>{t(`risks.${risk}`)}</Tag>;
}
