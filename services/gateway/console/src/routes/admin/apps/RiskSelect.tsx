import { useTranslation } from "react-i18next";
import type { Entitlement } from "@/api/client";
import { Select } from "@/components/Select";

interface Props {
  label: string;
  hint?: string;
  error?: string;
  value: NonNullable<Entitlement["risk"]>;
  onChange: (risk: NonNullable<Entitlement["risk"]>) => void;
}

/** How much harm can be done with an entitlement. */
export function RiskSelect(props: Props) {
  const { t } = useTranslation();
  return (
    <Select
      {...props}
      choices={{
        ENTITLEMENT_RISK_UNSPECIFIED: t("risks.ENTITLEMENT_RISK_UNSPECIFIED"),
        ENTITLEMENT_RISK_LOW: t("risks.ENTITLEMENT_RISK_LOW"),
        ENTITLEMENT_RISK_MEDIUM: t("risks.ENTITLEMENT_RISK_MEDIUM"),
        ENTITLEMENT_RISK_HIGH: t("risks.ENTITLEMENT_RISK_HIGH"),
        ENTITLEMENT_RISK_CRITICAL: t("risks.ENTITLEMENT_RISK_CRITICAL"),
      }}
    />
  );
}
